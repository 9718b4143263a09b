"""Where the embedded store keeps what."""

import os
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import platformdirs

__all__ = ["PORT", "Layout", "default_home"]

PORT: Final = 5432  # a part of the socket's name, and no more: no network is listened to
SOCKET: Final = f".s.PGSQL.{PORT}"
# The kernel allows 107 bytes for a socket's path on Linux and 103 on macOS.
SOCKET_PATH_LIMIT_BYTES: Final = 100
# Not tempfile.gettempdir(): every process must find the same place, whatever its TMPDIR says.
SYSTEM_TEMPORARY_FOLDER: Final = Path("/tmp")  # noqa: S108  a private folder is made in it


def default_home() -> Path:
    """Returns the folder of the embedded store when none is chosen (``ACTA_HOME``)."""
    return Path("/var/lib/acta") if os.geteuid() == 0 else platformdirs.user_data_path("acta")


@dataclass(frozen=True)
class Layout:
    """The files and folders under one folder (``home``: an absolute path without links)."""

    home: Path

    @property
    def postgresql(self) -> Path:
        """Everything that belongs to the server."""
        return self.home / "postgresql"

    @property
    def data(self) -> Path:
        """The database; whole whenever it exists."""
        return self.postgresql / "data"

    @property
    def initialising(self) -> Path:
        """A database in the making; of no worth when no initialisation runs."""
        return self.postgresql / "initialising"

    @property
    def settings(self) -> Path:
        """The server's configuration file."""
        return self.postgresql / "server.conf"

    @property
    def log_folder(self) -> Path:
        """The server writes its log here, and so has to own it."""
        return self.postgresql / "log"

    @property
    def log(self) -> Path:
        """What the server said."""
        return self.log_folder / "server.log"

    @property
    def credentials(self) -> Path:
        """The folder of the passwords."""
        return self.home / "credentials"

    def password(self, role: str) -> Path:
        """The file of a role's password."""
        return self.credentials / f"{role}.password"

    @property
    def start_lock(self) -> Path:
        """Held while it is decided who runs the server, and while it starts."""
        return self.postgresql / "start.lock"

    @property
    def users_lock(self) -> Path:
        """Held shared by each user, exclusively by who stops the server."""
        return self.postgresql / "users.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor while it lives."""
        return self.postgresql / "supervisor.lock"

    @property
    def sockets(self) -> Path:
        """The folder of the server's socket; elsewhere if the path would be too long or odd."""
        folder = self.postgresql / "run"
        length_bytes = len(os.fsencode(folder / SOCKET))
        # PostgreSQL takes commas and quotes in this path for a list.
        if length_bytes <= SOCKET_PATH_LIMIT_BYTES and re.fullmatch(r"[\w/. +=@%:-]+", str(folder)):
            return folder
        name = f"acta-{sha256(os.fsencode(self.home)).hexdigest()[:24]}"
        return SYSTEM_TEMPORARY_FOLDER.resolve() / name

    @property
    def socket(self) -> Path:
        """The server's socket."""
        return self.sockets / SOCKET
