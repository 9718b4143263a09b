"""Settings: the only reader of the environment. Every name begins with ``ACTA_``."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.identity import Email
from domain.subscription import ChargingTerms
from handlers.faults import InvalidInput

__all__ = [
    "COMPOSE_DATABASE_PORT", "COMPOSE_KAFKA_PORT", "COMPOSE_REGISTRY_PORT", "KAFKA_MAJOR",
    "POSTGRESQL_MAJOR", "Settings", "read_settings",
]  # fmt: skip

POSTGRESQL_MAJOR = 18
KAFKA_MAJOR = 4
COMPOSE_DATABASE_PORT = 15432
COMPOSE_KAFKA_PORT = 19092
COMPOSE_REGISTRY_PORT = 18081


def _listed(value: Any) -> Any:
    """A list as JSON, or with commas between its items."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [item.strip() for item in value.split(",") if item.strip()]


def _one_after_another(days: tuple[int, ...]) -> tuple[int, ...]:
    if any(later <= earlier for earlier, later in pairwise(days)):
        raise ValueError("each day comes after the one before it")
    return days


ModuleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_./-]{0,79}$")]
ModuleNames = Annotated[tuple[ModuleName, ...], NoDecode, BeforeValidator(_listed)]
DayNumber = Annotated[int, Field(gt=0, le=366)]
DaysApart = Annotated[
    tuple[DayNumber, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_one_after_another)
]


class Settings(BaseSettings):
    """What an installation can set, each as ``ACTA_`` and the name in capitals."""

    model_config = SettingsConfigDict(env_prefix="ACTA_", extra="ignore", frozen=True)

    home: Path | None = None
    """Folder of the embedded database and of the key-encryption keys; none: the system's place."""
    keys: Path | None = None
    """Folder of the key-encryption keys; none: the folder ``keys`` in home."""
    database_url: SecretStr | None = None
    """Address of the database in the application's role; none: the embedded one."""
    administrator_url: SecretStr | None = None
    """Address for ``acta migrate`` alone, as a role that may create roles."""
    server_user: str = "nobody"
    """System account as which the embedded server runs when Acta itself runs as root."""
    connect_timeout_seconds: Annotated[int, Field(gt=0)] = 10
    """How long to wait for the database to answer."""
    tax_retention_years: Annotated[int, Field(ge=0)] = 6
    """How long the law wants buyer data of tax documents kept (A11)."""
    invitation_days: Annotated[int, Field(gt=0, le=3660)] = 14
    """How many days an invitation is open (I6)."""
    retry_days: DaysApart = (1, 3, 5, 7)
    """How many days after its first decline a renewal is tried again (S8), with commas between."""
    price_notice_days: Annotated[int, Field(ge=0, le=3660)] = 30
    """How many days before it holds a price is announced (S5)."""
    modules: ModuleNames = ("documentation",)
    """Names of the modules that contracts can open (C4), as JSON or with commas between them."""
    holder_support_email: Email | None = None
    """Where client holders write to (T6), such as titulares@example.com."""
    documentation_desk_email: Email | None = None
    """Where contractors write to (T6), such as documentacion@example.com."""
    documentation_desk_phone: Annotated[str, Field(pattern=r"^\+[0-9][0-9 ()-]{4,30}$")] | None = (
        None
    )
    """Where contractors call (T6), such as +34 910 000 000."""
    account_support_email: Email | None = None
    """Where everybody else writes to (T6), such as ayuda@example.com."""
    gateway_url: Annotated[str, Field(pattern=r"^https?://[^\s/@?#]+/?$")] | None = None
    """Address of the payment gateway, such as https://api.stripe.com; none: no card is charged."""
    gateway_key: SecretStr | None = None
    """Secret key with which Acta asks the gateway."""
    gateway_webhook_secret: SecretStr | None = None
    """Secret with which the gateway signs its webhooks."""
    gateway_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10
    """How long to wait for an answer of the gateway before it is taken as unknown (S7)."""
    kafka_bootstrap_servers: str | None = None
    """Addresses of Kafka brokers, for the relay and for ``acta subscribe``."""
    kafka_namespace: Annotated[str, Field(pattern=r"^[a-z][a-z0-9.-]{0,99}$")] = "acta"
    """What the names of all topics, subjects and transactional ids begin with."""
    kafka_partitions: Annotated[int, Field(gt=0, le=1000)] = 6
    """Partitions of a topic of events; never changed within a generation."""
    kafka_replication_factor: Annotated[int, Field(ge=-1)] = -1
    """Copies of each partition of a topic that Acta makes; -1: as many as the broker's default."""
    kafka_properties: Path | None = None
    """File of further librdkafka properties, ``name=value`` by line: security, timeouts."""
    schema_registry_url: SecretStr | None = None
    """Address of the schema registry; none: the ids of the lock file ``schemas/ids.json``."""

    @property
    def charging(self) -> ChargingTerms:
        """What is set about charges (S5, S8)."""
        return ChargingTerms(self.retry_days, self.price_notice_days)

    @property
    def charges_real_money(self) -> bool:
        """Whether a gateway is set that is neither on this machine nor asked with a test key."""
        if self.gateway_url is None:
            return False
        host = urlsplit(self.gateway_url).hostname
        key = self.gateway_key.get_secret_value() if self.gateway_key else ""
        return host not in ("127.0.0.1", "::1", "localhost") and not key.startswith("sk_test_")

    @property
    def desk_emails(self) -> tuple[str, ...]:
        """The addresses of the desks that are set (T6)."""
        desks = (
            self.holder_support_email,
            self.documentation_desk_email,
            self.account_support_email,
        )
        return tuple(email for email in desks if email is not None)


def read_settings() -> Settings:
    """The settings that the environment gives.

    Raises:
        InvalidInput: one of them cannot be read; the message names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        names = ", ".join(f"ACTA_{str(fault['loc'][0]).upper()}" for fault in error.errors())
        raise InvalidInput(
            f"a setting cannot be read: {names}", remedy="Correct it in the environment."
        ) from None
