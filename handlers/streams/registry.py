"""The ids of schemas that a registry gives; without one, those of the lock file hold."""

from collections.abc import Callable
from http import HTTPStatus

from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel,
    Schema,
    SchemaRegistryClient,
    SchemaRegistryError,
    ServerConfig,
)

from handlers.faults import Fault, RegistryUnavailable, SchemaRefused
from schemas.contracts import Contracts
from schemas.topics import subject

__all__ = ["register"]

TIMEOUT_SECONDS = 5


def register(
    url: str, contracts: Contracts, namespace: str, generation: int
) -> Callable[[str], int]:
    """Registers every contract; what was registered before keeps its id.

    Returns:
        The id of a contract by its stored topic; KeyError for one without a file.

    Raises:
        RegistryUnavailable: it does not answer.
        SchemaRefused: it does not take a schema; those before it are registered.
    """
    kept: set[str] = set()
    ids: dict[str, int] = {}
    with SchemaRegistryClient({"url": url, "timeout": TIMEOUT_SECONDS}) as client:
        for topic in contracts.topics():
            named = subject(namespace, topic, generation)
            text = contracts.file(topic).read_text(encoding="utf-8")
            try:
                if named not in kept:
                    _keep_compatible(client, named)
                    kept.add(named)
                ids[topic] = client.register_schema(named, Schema(text, "AVRO"))
            except Exception as error:
                # Besides its own errors the client raises those of whatever HTTP library it has.
                raise _fault(named, error) from error
    return ids.__getitem__


def _keep_compatible(client: SchemaRegistryClient, subject: str) -> None:
    client.set_config(subject, ServerConfig(compatibility=ConfigCompatibilityLevel.FULL_TRANSITIVE))


def _fault(subject: str, error: Exception) -> Fault:
    if not isinstance(error, SchemaRegistryError):
        return _unavailable(type(error).__name__)
    if error.http_status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unavailable(f"it answers with status {error.http_status_code}")
    return SchemaRefused(
        f"the schema registry does not take the schema of {subject}: {error.error_message}",
        remedy="See which versions the subject has there, and who registered them.",
    )


def _unavailable(reason: str) -> RegistryUnavailable:
    return RegistryUnavailable(
        f"the schema registry does not answer as it should: {reason}",
        remedy="Start it, or correct ACTA_SCHEMA_REGISTRY_URL; unset, the lock file's ids hold.",
    )
