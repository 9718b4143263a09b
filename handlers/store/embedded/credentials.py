"""Who may ask the server: its two roles, their passwords, and the addresses with them."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from handlers.faults import FolderUnusable
from handlers.store.embedded.account import Account
from handlers.store.embedded.folders import (
    check_private,
    flush_folder,
    make_folders,
    write_private,
)
from handlers.store.embedded.layout import PORT, Layout

__all__ = [
    "ADMINISTRATOR",
    "APPLICATION",
    "DATABASE",
    "Addresses",
    "prepare_passwords",
    "read_addresses",
]

ADMINISTRATOR: Final = "acta_administrator"
APPLICATION: Final = "acta_application"
ROLES: Final = (ADMINISTRATOR, APPLICATION)
DATABASE: Final = "acta"


@dataclass(frozen=True)
class Addresses:
    """Where the database answers, as libpq connection strings. They hold passwords.

    Attributes:
        administrator: for migrations; may do anything in this server.
        application: for everything else; may do what migrations grant.
    """

    administrator: str = field(repr=False)
    application: str = field(repr=False)


def read_addresses(layout: Layout, account: Account) -> Addresses:
    """Returns the addresses of a server that runs.

    Raises:
        FolderUnusable: a password is missing or open to others.
    """
    # Not at the top, for the supervisor would import it too; it takes longer than all the rest.
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    def address(role: str) -> str:
        return make_conninfo(
            host=str(layout.sockets),
            port=PORT,
            dbname=DATABASE,
            user=role,
            password=_read_password(layout, role),
            # Whoever else listens there is not to be told the password.
            require_auth="scram-sha-256",
            requirepeer=account.name,
        )

    return Addresses(administrator=address(ADMINISTRATOR), application=address(APPLICATION))


def prepare_passwords(layout: Layout) -> dict[str, str]:
    """Returns the password of each role; for a database still to be made, they are made up.

    Raises:
        FolderUnusable: a password of an existing database is missing, or one is open to others.
    """
    make_folders(layout.credentials, mode=0o700)
    if not layout.data.exists():
        for role in ROLES:
            if not layout.password(role).exists():
                _make_password(layout.password(role))
    return {role: _read_password(layout, role) for role in ROLES}


def _make_password(path: Path) -> None:
    written = path.with_suffix(".new")
    written.unlink(missing_ok=True)
    write_private(written, secrets.token_urlsafe(32))
    written.rename(path)
    flush_folder(path.parent)


def _read_password(layout: Layout, role: str) -> str:
    path = layout.password(role)
    try:
        check_private(path)
        return path.read_text()
    except FileNotFoundError:
        raise FolderUnusable(
            f"the password file {path} of the database in {layout.data} is missing",
            remedy="Put it back from a copy, or choose another ACTA_HOME.",
        ) from None
