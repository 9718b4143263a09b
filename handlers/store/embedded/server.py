"""A share in the server of a folder, and how those who have one agree with its supervisor.

They agree by three ``flock`` files in ``home/postgresql`` (the kernel lets go of a lock when its
holder dies, however it dies):

- ``users.lock`` is held shared by each handle. The supervisor, a process apart, waits for it
  exclusively; it gets it when no handle is left, also when the last was killed, and stops the
  server.
- ``supervisor.lock`` is held by the supervisor as long as it lives: if it is free, nobody will
  stop the server.
- ``start.lock`` is held by whoever starts or closes, so that one of them decides at a time; the
  supervisor has a share in it until the server is ready.

Nobody waits in a circle: only the supervisor waits for ``users.lock`` while it holds another that
others wait for, and those who wait for ``supervisor.lock`` have given up their share, or have ended
the supervisor before. The races:

- *A starter is killed while the server starts.* The supervisor's share keeps ``start.lock``
  held until the server is ready; then the supervisor finds no users and stops it. The next
  starter waits for the one, then for the other.
- *One starts while the server stops.* It waits for ``users.lock``, which the supervisor lets go
  after ``supervisor.lock``; so it never takes the leaving supervisor for a living one.
- *Two close at once.* The first sees the second's lock and leaves; the second sees none.
- *One starts while the last one closes.* It waits for ``start.lock`` until the server is gone.
- *The supervisor was killed.* The next starter puts another in its place, which adopts the
  running server; a closer that is the last stops the server itself.
- *The server was killed.* The next starter sends the supervisor away and puts another in its
  place, so that only supervisors start servers, and none is ever without one.
- *The database is half made.* It is made aside and renamed when whole. ``initdb`` has a share in
  ``start.lock`` too, so nobody starts over while one of a killed supervisor still writes.
"""

import atexit
import fcntl
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, Self

import psutil

from handlers import faults
from handlers.store.embedded.account import Account
from handlers.store.embedded.cluster import Cluster
from handlers.store.embedded.credentials import Addresses, read_addresses
from handlers.store.embedded.folders import folder_faults, prepare_folders
from handlers.store.embedded.layout import Layout
from handlers.store.embedded.locks import locked, open_lock, opened, try_lock

__all__ = ["EmbeddedServer"]

# By name, not imported: a module that is run by -m must not have been imported by its package.
SUPERVISOR: Final = "handlers.store.embedded.supervisor"


class EmbeddedServer:
    """A share in the PostgreSQL server of a folder.

    The server runs while any process has a share in it, and stops when the last is closed or
    ends, however it ends. A process may have several, each counting for itself. A child made by
    ``fork`` has its parent's share too: the server runs until both closed it or ended. Programs
    started by ``exec`` have no part in it.

    Attributes:
        addresses: where the database answers.
    """

    addresses: Addresses

    def __init__(self, cluster: Cluster, users_lock: int) -> None:
        """Use :meth:`start`."""
        self.addresses = read_addresses(cluster.layout, cluster.account)
        self._cluster = cluster
        self._users_lock: int | None = users_lock
        self._closing = Lock()
        atexit.register(self.close)

    @classmethod
    def start(cls, home: Path, *, server_user: str = "nobody") -> Self:
        """Takes a share in the server of a folder; returns when it is ready.

        Args:
            home: the folder; made if it is missing. Folders that exist are never changed.
            server_user: the existing account that the server runs as when this process is
                root's, for PostgreSQL refuses to run as root. Otherwise it has no meaning.

        Raises:
            FolderUnusable: the folder cannot be written, or not be reached by the server.
            DatabaseVersion: the folder is of another major version of PostgreSQL.
            DatabaseUnavailable: there is no PostgreSQL to run, or it does not start.
        """
        with folder_faults(home):
            layout = Layout(home.resolve())
            cluster = Cluster(layout, Account.for_server(server_user))
            prepare_folders(layout, cluster.account)
            with locked(layout.start_lock) as start_lock:
                users_lock = open_lock(layout.users_lock)
                try:
                    fcntl.flock(users_lock, fcntl.LOCK_SH)
                    if not _is_served(cluster):
                        _start_supervisor(cluster, start_lock)
                    return cls(cluster, users_lock)
                except BaseException:
                    os.close(users_lock)
                    raise

    def close(self) -> None:
        """Gives up this share. The last one returns when the server is stopped."""
        with self._closing:
            users_lock, self._users_lock = self._users_lock, None
            if users_lock is not None:
                atexit.unregister(self.close)
                self._leave(users_lock)

    def _leave(self, users_lock: int) -> None:
        layout = self._cluster.layout
        try:
            start_lock = open_lock(layout.start_lock)
        except FileNotFoundError:  # somebody removed the folder
            os.close(users_lock)
            return
        try:
            fcntl.flock(start_lock, fcntl.LOCK_EX)
            # Closed and asked anew, not converted: a lock belongs to all who inherited it, and a
            # forked child may still use its share.
            os.close(users_lock)
            if self._is_unused():
                # The supervisor, if there is one, stops the server now, and then ends.
                with locked(layout.supervisor_lock):
                    self._cluster.stop()
        finally:
            os.close(start_lock)

    def _is_unused(self) -> bool:
        with opened(self._cluster.layout.users_lock) as users_lock:
            # Held exclusively, it is the supervisor's, who is stopping the server already.
            return try_lock(users_lock, fcntl.LOCK_EX) or not try_lock(users_lock, fcntl.LOCK_SH)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _is_served(cluster: Cluster) -> bool:
    """Tells whether the server runs and will be stopped; ``start.lock`` and a share are held."""
    with opened(cluster.layout.supervisor_lock) as supervisor_lock:
        if try_lock(supervisor_lock, fcntl.LOCK_EX):
            return False
        if cluster.ready:
            return True
        _dismiss_supervisor(cluster, supervisor_lock)
        return False


def _dismiss_supervisor(cluster: Cluster, supervisor_lock: int) -> None:
    """Ends a supervisor whose server is gone. It waits for our share, and so does nothing else."""
    number = os.pread(supervisor_lock, 20, 0).decode()
    supervisor = _find_supervisor(cluster.layout, int(number)) if number.isdecimal() else None
    if supervisor is not None:
        supervisor.kill()
        fcntl.flock(supervisor_lock, fcntl.LOCK_EX)
    elif not try_lock(supervisor_lock, fcntl.LOCK_EX):  # else it was killed just now
        raise faults.DatabaseUnavailable(
            f"the PostgreSQL in {cluster.layout.data} is run from elsewhere, "
            f"perhaps by another container",
            remedy="Stop Acta there, or set ACTA_DATABASE_URL.",
        )


def _find_supervisor(layout: Layout, process_id: int) -> psutil.Process | None:
    """Returns the process of this number, if it is the supervisor of the folder."""
    with suppress(psutil.Error):
        process = psutil.Process(process_id)
        if {SUPERVISOR, str(layout.home)} <= set(process.cmdline()):
            return process
    return None


def _start_supervisor(cluster: Cluster, start_lock: int) -> None:
    """Starts a supervisor and waits until it says that the server is ready."""
    listening, telling = os.pipe()
    with os.fdopen(listening) as outcome:
        try:
            subprocess.run(  # noqa: S603  a program of ours, and no shell
                [
                    *(sys.executable, "-m", SUPERVISOR),
                    *(cluster.layout.home, cluster.account.name, str(start_lock), str(telling)),
                ],
                # Found again from here, however this package was found: installed or beside us.
                cwd=Path(__file__).resolve().parents[3],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(start_lock, telling),
            )
        finally:
            os.close(telling)
        told = json.loads(outcome.read() or "null")
    _raise_told(cluster, told)


def _raise_told(cluster: Cluster, told: dict[str, str] | None) -> None:
    if told is None:
        raise faults.DatabaseUnavailable(
            f"the supervisor of the PostgreSQL in {cluster.layout.data} ended early",
            remedy=f"Try again; the server's log is {cluster.layout.log}.",
        )
    if "fault" in told:
        fault: type[faults.Fault] = getattr(faults, told["fault"])
        raise fault(told["message"], remedy=told["remedy"])
