"""The schemas that records name by their ids."""

# ruff: noqa: TID252  a service takes this folder under a name of its own

import base64
import json
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from .halts import RegistryRefuses, SchemaUnknown

__all__ = ["Registry", "RegistryAway", "Schemas"]


class RegistryAway(Exception):  # noqa: N818  named for what happened
    """The registry does not answer; it is waited for."""


class Schemas(Protocol):
    """Where schemas come from."""

    def schema(self, schema_id: int) -> dict[str, Any]:
        """The Avro schema of an id.

        Raises:
            SchemaUnknown: there is none.
            RegistryAway: it cannot be asked now.
        """
        ...


class Registry:
    """A schema registry that speaks Confluent's API, or ``acta schemas serve``.

    Args:
        url: its address, with ``user:password@`` where it wants them.
        timeout_seconds: how long an answer may take.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 10) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the address of the registry does not begin with http:// or https://")
        self._base = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._headers = {"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            encoded = base64.b64encode(credentials.encode()).decode()
            self._headers["Authorization"] = f"Basic {encoded}"

    def schema(self, schema_id: int) -> dict[str, Any]:
        """The Avro schema of an id.

        Raises:
            SchemaUnknown: there is none.
            RegistryRefuses: it does not let us read.
            RegistryAway: it does not answer.
        """
        address = f"{self._base}/schemas/ids/{schema_id}"
        request = Request(address, headers=self._headers)  # noqa: S310  the scheme is checked above
        try:
            with urlopen(request, timeout=self._timeout_seconds) as answer:  # noqa: S310  as above
                schema: dict[str, Any] = json.loads(json.load(answer)["schema"])
                return schema
        except HTTPError as error:
            error.close()
            raise _refusal(schema_id, error.code) from None
        except (URLError, HTTPException, OSError) as error:
            raise RegistryAway(f"the schema registry does not answer: {_reason(error)}") from None
        except (KeyError, TypeError, ValueError):
            raise RegistryRefuses(
                f"what answers for the schema {schema_id} is no schema registry"
            ) from None


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    return type(cause).__name__


def _refusal(schema_id: int, status: int) -> Exception:
    match status:
        case HTTPStatus.NOT_FOUND:
            return SchemaUnknown(f"the schema registry does not know the schema {schema_id}")
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.REQUEST_TIMEOUT:
            return RegistryAway(f"the schema registry answers {status}")
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return RegistryAway(f"the schema registry answers {status}")
        case _:
            return RegistryRefuses(
                f"the schema registry answers {status} when asked for the schema {schema_id}"
            )
