"""The system account that the server runs as."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from handlers.faults import DatabaseUnavailable

__all__ = ["Account"]


@dataclass(frozen=True)
class Account:
    """The system account that the server runs as: never root's."""

    name: str
    user_id: int
    group_id: int

    @classmethod
    def for_server(cls, server_user: str) -> Self:
        """Returns the account that a server has when this process starts it.

        PostgreSQL refuses to run as root, so root gives it to ``server_user``; everybody else
        runs it themselves.

        Raises:
            DatabaseUnavailable: there is no such account, or it is root's.
        """
        own_id = os.geteuid()
        try:
            entry = pwd.getpwuid(own_id) if own_id else pwd.getpwnam(server_user)
        except KeyError:
            wanted = f"with the user id {own_id}" if own_id else f"named {server_user!r}"
            raise DatabaseUnavailable(
                f"there is no system account {wanted} for PostgreSQL to run as",
                remedy="Run as an account that exists, or set ACTA_DATABASE_URL.",
            ) from None
        if entry.pw_uid == 0:
            raise DatabaseUnavailable(
                "PostgreSQL refuses to run as root",
                remedy="Choose another account for the server, for example nobody.",
            )
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    @property
    def is_other(self) -> bool:
        """Whether the server runs as somebody else than this process."""
        return self.user_id != os.geteuid()

    def run(
        self, command: Sequence[str | Path], *, given: str = "", passed: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program as this account, and returns what became of it.

        Args:
            command: the program and its arguments; no secrets, for everybody can see them.
            given: what it reads.
            passed: the descriptors it inherits.
        """
        return subprocess.run(  # noqa: S603  programs of ours, and no shell
            command,
            cwd="/",
            # Locale, time zone and PG… variables of the caller must not reach the server.
            env={"LC_ALL": "C", "PATH": os.defpath},
            umask=0o077,
            check=False,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            input=given,
            pass_fds=passed,
            user=self.user_id if self.is_other else None,
            group=self.group_id if self.is_other else None,
            extra_groups=() if self.is_other else None,
        )

    def first_closed(self, paths: Sequence[Path], *, test: str) -> Path | None:
        """Returns the first of some paths for which ``[ TEST path ]`` is false to the account.

        The kernel is asked, as that account: modes alone do not tell of access control lists.
        """
        script = 'for path in "$@"; do [ "$0" "$path" ] || { printf %s "$path"; exit 0; }; done'
        closed = self.run(["/bin/sh", "-c", script, test, *paths]).stdout
        return Path(closed) if closed else None
