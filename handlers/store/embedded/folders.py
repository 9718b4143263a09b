"""Folders and files made, checked and given away; those that exist are never changed."""

import os
import re
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from handlers.faults import DatabaseVersion, FolderUnusable
from handlers.store.embedded.account import Account
from handlers.store.embedded.binaries import POSTGRESQL_MAJOR
from handlers.store.embedded.layout import Layout

__all__ = [
    "check_private",
    "flush_folder",
    "folder_faults",
    "is_own",
    "make_folders",
    "own_folder",
    "prepare_folders",
    "write_private",
]


@contextmanager
def folder_faults(home: Path) -> Generator[None]:
    """Turns what the file system refuses into a fault that names the place and the mend."""
    try:
        yield
    except OSError as error:
        place = error.filename if isinstance(error.filename, str) else home
        raise FolderUnusable(
            f"{place} cannot be used: {error.strerror}",
            remedy="Choose an ACTA_HOME that you can write, or mend the folder.",
        ) from error


def prepare_folders(layout: Layout, account: Account) -> None:
    """Makes the folders that everybody needs, after checking that they can be of use.

    Raises:
        FolderUnusable: the folder cannot be reached or written.
        DatabaseVersion: the data are of another PostgreSQL.
    """
    _check_path(layout)
    _check_reachable(layout, account)
    _check_data(layout, account)
    make_folders(layout.postgresql, mode=0o755 if account.is_other else 0o700)
    if not os.access(layout.postgresql, os.W_OK | os.X_OK):
        raise FolderUnusable(
            f"the folder {layout.postgresql} cannot be written",
            remedy="Choose an ACTA_HOME that you can write.",
        )


def _check_path(layout: Layout) -> None:
    # pg_ctl hands these paths to a shell within double quotes.
    if re.search(r'["$`\\\n]', str(layout.home)):
        raise FolderUnusable(
            f"PostgreSQL cannot work in a folder of this name: {str(layout.home)!r}",
            remedy='Choose an ACTA_HOME without ", $, `, \\ or a line break in its path.',
        )


def _check_reachable(layout: Layout, account: Account) -> None:
    if not account.is_other:
        return
    inwards = (*reversed(layout.postgresql.parents), layout.postgresql)
    closed = account.first_closed([folder for folder in inwards if folder.is_dir()], test="-x")
    if closed is not None:
        raise FolderUnusable(
            f"the folder {closed} is closed to the account {account.name!r}, as which "
            f"PostgreSQL runs when Acta is run by root",
            remedy="Choose an ACTA_HOME under /var/lib, or run Acta as another user than root.",
        )


def _check_data(layout: Layout, account: Account) -> None:
    if not layout.data.exists():
        return
    if (owner := layout.data.stat().st_uid) != account.user_id:
        raise FolderUnusable(
            f"the database in {layout.data} belongs to the user id {owner}, not to "
            f"{account.name!r}, as which PostgreSQL would run",
            remedy="Run Acta as the user who made the folder, or choose another ACTA_HOME.",
        )
    version = (layout.data / "PG_VERSION").read_text().strip()
    if version != str(POSTGRESQL_MAJOR):
        raise DatabaseVersion(
            f"the database in {layout.data} is of PostgreSQL {version}; this program runs "
            f"PostgreSQL {POSTGRESQL_MAJOR}",
            remedy="Use the release of Acta that made it, or choose another ACTA_HOME.",
        )


def make_folders(folder: Path, *, mode: int) -> None:
    """Makes a folder and its missing parents; those that exist stay as they are."""
    for missing in [path for path in (folder, *folder.parents) if not path.exists()][::-1]:
        with suppress(FileExistsError):
            missing.mkdir(mode=mode)
            missing.chmod(mode)  # whatever the umask says


def own_folder(folder: Path, account: Account) -> None:
    """Makes a folder that is the account's alone, or sees that it is.

    Raises:
        FolderUnusable: it is another's, open to others, or no folder.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if account.is_other and folder.lstat().st_uid == os.geteuid():
        os.chown(folder, account.user_id, account.group_id, follow_symlinks=False)
    if not is_own(folder, account):
        raise FolderUnusable(
            f"{folder} should be a folder of {account.name!r}, and is not",
            remedy="Remove it, or choose another ACTA_HOME.",
        )
    check_private(folder)


def is_own(folder: Path, account: Account) -> bool:
    """Tells whether there is such a folder, not a link to one, and it is the account's."""
    with suppress(FileNotFoundError):
        found = folder.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == account.user_id
    return False


def check_private(path: Path) -> None:
    """Sees that only its owner can use a file or folder.

    Raises:
        FolderUnusable: others can too.
    """
    if path.stat().st_mode & 0o077:
        raise FolderUnusable(
            f"{path} is open to other users",
            remedy=f"Close it to them: chmod go= {path}",
        )


def write_private(path: Path, text: str) -> None:
    """Writes a new file that only its owner can use, down to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def flush_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
