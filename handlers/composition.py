"""Builds everything from the settings and closes it; the one place that knows everybody."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from handlers.contract_queries import ContractQueries
from handlers.due_queries import DueQueries
from handlers.faults import Fault, InvalidInput
from handlers.ledger import Ledger
from handlers.payments.gateway import PaymentGateway
from handlers.queries import Queries
from handlers.settings import Settings
from handlers.snapshots import Snapshots
from handlers.store.database import Database, connect
from handlers.store.embedded import EmbeddedServer, default_home
from handlers.store.event_store import EventStore
from handlers.store.key_folder import KeyFolder
from handlers.store.migrations import migrate
from handlers.store.payment_tokens import PaymentTokens
from handlers.store.sealing import Cipher
from handlers.store.vault import Vault
from handlers.streams.cluster import Cluster
from handlers.ticket_queries import TicketQueries
from handlers.workers.projector import Projector
from handlers.workers.relay import Destination, Relay, RelayStatus, relay_state
from projections.access import Access
from projections.account_history import AccountHistory
from projections.billing_history import BillingHistory
from projections.contracts import ContractRegister
from projections.due import DueWork
from projections.institutions import Institutions
from projections.projection import Projection
from projections.study_history import StudyHistory
from projections.support_desk import SupportDesk
from schemas.contracts import Contracts

__all__ = ["Acta", "migrate_database", "open_ledger", "open_relay", "relay_status"]

PROJECTIONS: tuple[Projection, ...] = (
    Access(),
    BillingHistory(),
    StudyHistory(),
    AccountHistory(),
    Institutions(),
    ContractRegister(),
    SupportDesk(),
    DueWork(),
)


@dataclass(frozen=True, slots=True)
class Acta:
    """An open ledger with all that belongs to it.

    Attributes:
        gateway: charges cards; None where none is set.
        tokens: the cards that are charged.
    """

    ledger: Ledger
    queries: Queries
    contracts: ContractQueries
    tickets: TicketQueries
    due: DueQueries
    projector: Projector
    store: EventStore
    vault: Vault
    database: Database
    gateway: PaymentGateway | None
    tokens: PaymentTokens


@contextmanager
def open_ledger(
    settings: Settings,
    *,
    cipher: Cipher | None = None,
    reached: Callable[[str], None] = lambda _: None,
) -> Generator[Acta]:
    """Opens the ledger that the settings name; without a database address, the embedded one.

    Args:
        settings: see ``handlers.settings.Settings``.
        cipher: the encryption of personal values; tests swap it.
        reached: told each point at which a crash would matter; tests crash there.

    Raises:
        DatabaseUnavailable: no database, or not of this version.
        FolderUnusable: a folder cannot be written.
        KeyMissing: the key-encryption key is not there.
        InvalidInput: a payment gateway is set without its key.
    """
    home = settings.home or default_home()
    with ExitStack() as stack:
        database = _database(stack, home, settings)
        vault = Vault(database, KeyFolder(settings.keys or home / "keys"), cipher)
        stack.callback(vault.forget)
        store = EventStore(database, vault)
        projector = Projector(database, PROJECTIONS, reached=reached)
        # Beside a database of its own nobody else projects, so whoever asks does it first.
        catch_up = projector.catch_up if settings.database_url is None else None
        snapshots = Snapshots(database, catch_up=catch_up)
        yield Acta(
            ledger=Ledger(
                store,
                tax_retention_years=settings.tax_retention_years,
                invitation_days=settings.invitation_days,
                desk_emails=settings.desk_emails,
                charging=settings.charging,
                reached=reached,
            ),
            queries=Queries(store, snapshots, modules=settings.modules),
            contracts=ContractQueries(store, snapshots),
            tickets=TicketQueries(store, snapshots),
            due=DueQueries(snapshots),
            projector=projector,
            store=store,
            vault=vault,
            database=database,
            gateway=_gateway(stack, settings),
            tokens=PaymentTokens(database, vault),
        )


@contextmanager
def open_relay(
    settings: Settings,
    *,
    generation: int = 1,
    waiting: Callable[[Fault], None] = lambda _: None,
    reached: Callable[[str], None] = lambda _: None,
) -> Generator[Relay]:
    """Opens the relay of a generation of topics; it needs no key, and opens nothing.

    Args:
        settings: see ``handlers.settings.Settings``.
        generation: of the topics.
        waiting: told of each outage, once.
        reached: told each point at which a crash would matter; tests crash there.

    Raises:
        InvalidInput: no Kafka brokers are set.
        DatabaseUnavailable: no database, or not of this version.
        FolderUnusable: a folder or file cannot be used.
    """
    contracts = Contracts()
    with ExitStack() as stack:
        destination = _destination(settings, generation)
        database = _database(stack, settings.home or default_home(), settings)
        yield Relay(
            database,
            destination,
            contracts,
            partial(_schema_ids, settings, contracts, generation),
            waiting=waiting,
            reached=reached,
        )


def relay_status(acta: Acta, settings: Settings, *, generation: int = 1) -> RelayStatus | None:
    """How far the relay of a generation is; None if none ever began.

    Raises:
        InvalidInput: no Kafka brokers are set.
        BrokerUnavailable: the cluster does not answer.
    """
    return relay_state(acta.database, _destination(settings, generation))


def migrate_database(settings: Settings) -> list[str]:
    """Brings the database to this program's version; returns the names of what was applied.

    Raises:
        InvalidInput: ACTA_ADMINISTRATOR_URL is not set.
        DatabaseUnavailable: it does not answer, or is ahead of this program.
    """
    if settings.administrator_url is None:
        raise InvalidInput(
            "ACTA_ADMINISTRATOR_URL is not set: the address for migrations",
            remedy="Set it to an address whose role may create roles.",
        )
    address = settings.administrator_url.get_secret_value()
    with connect(address, timeout_seconds=settings.connect_timeout_seconds) as administrator:
        return migrate(administrator)


def _database(stack: ExitStack, home: Path, settings: Settings) -> Database:
    if settings.database_url is not None:
        address = settings.database_url.get_secret_value()
    else:
        address = _embedded(stack, home, settings)
    database = Database(address, connect_timeout_seconds=settings.connect_timeout_seconds)
    stack.callback(database.close)
    return database


def _gateway(stack: ExitStack, settings: Settings) -> PaymentGateway | None:
    if settings.gateway_url is None:
        return None
    if settings.gateway_key is None:
        raise InvalidInput(
            "ACTA_GATEWAY_KEY is not set: the key with which the payment gateway is asked",
            remedy="Set it, or leave ACTA_GATEWAY_URL out where no card is to be charged.",
        )
    from handlers.payments.stripe import StripeGateway  # noqa: PLC0415  slow, and seldom needed

    key = settings.gateway_key.get_secret_value()
    gateway = StripeGateway(
        settings.gateway_url, key, timeout_seconds=settings.gateway_timeout_seconds
    )
    stack.callback(gateway.close)
    return gateway


def _destination(settings: Settings, generation: int) -> Destination:
    return Destination(
        Cluster.of(settings),
        namespace=settings.kafka_namespace,
        generation=generation,
        partitions=settings.kafka_partitions,
        replication_factor=settings.kafka_replication_factor,
    )


def _schema_ids(settings: Settings, contracts: Contracts, generation: int) -> Callable[[str], int]:
    if settings.schema_registry_url is None:
        return contracts.schema_id
    from handlers.streams.registry import register  # noqa: PLC0415  slow, and seldom needed

    url = settings.schema_registry_url.get_secret_value()
    return register(url, contracts, settings.kafka_namespace, generation)


def _embedded(stack: ExitStack, home: Path, settings: Settings) -> str:
    server = stack.enter_context(EmbeddedServer.start(home, server_user=settings.server_user))
    with connect(server.addresses.administrator) as administrator:
        migrate(administrator)
    return server.addresses.application
