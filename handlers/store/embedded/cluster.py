"""The PostgreSQL server of one folder: made, started and stopped."""

import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Final

import psutil

from handlers.faults import DatabaseUnavailable
from handlers.store.embedded.account import Account
from handlers.store.embedded.binaries import find_programs
from handlers.store.embedded.configuration import write_settings
from handlers.store.embedded.credentials import (
    ADMINISTRATOR,
    APPLICATION,
    DATABASE,
    prepare_passwords,
)
from handlers.store.embedded.folders import (
    flush_folder,
    is_own,
    own_folder,
    prepare_folders,
    write_private,
)
from handlers.store.embedded.layout import Layout
from handlers.store.embedded.processes import wait_until_ended

__all__ = ["Cluster"]

START_TIMEOUT_SECONDS: Final = 600  # the recovery of a large log after a power cut takes minutes
STOP_TIMEOUT_SECONDS: Final = 120
ORPHAN_TIMEOUT_SECONDS: Final = 5
LOG_LIMIT_BYTES: Final = 8 * 1024 * 1024
LOG_LINES_SHOWN: Final = 12

INITIALISE: Final = f"""\
CREATE ROLE {APPLICATION} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{{password}}'
CREATE DATABASE {DATABASE}
"""


class Cluster:
    """The PostgreSQL server of one folder.

    Attributes:
        layout: where it is.
        account: as whom it runs.
    """

    def __init__(self, layout: Layout, account: Account) -> None:
        self.layout = layout
        self.account = account

    def start(self, start_lock: int) -> None:
        """Has the server running and ready: adopted, started, or made anew.

        Args:
            start_lock: the descriptor of the held ``start.lock``.

        Raises:
            FolderUnusable: a folder or file cannot be used.
            DatabaseVersion: the data are of another PostgreSQL.
            DatabaseUnavailable: there is no PostgreSQL to run, or it does not start.
        """
        prepare_folders(self.layout, self.account)
        if self.ready:  # left by a supervisor that was killed
            return
        self.stop()  # one midway in starting or stopping, or killed, or what is left of it
        passwords = prepare_passwords(self.layout)
        if not self.layout.data.exists():
            self._initialise(passwords, start_lock)
        own_folder(self.layout.log_folder, self.account)
        own_folder(self.layout.sockets, self.account)
        write_settings(self.layout)
        self._start_server()

    def stop(self) -> None:
        """Stops the server, if it runs, and returns when all its processes have ended."""
        if (postmaster := self._postmaster()) is not None:
            # Signals and a wait for the process itself: pg_ctl looks ten times a second whether
            # the server's file has gone, which happens before the process has.
            with suppress(psutil.NoSuchProcess):
                for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, hard
                    postmaster.send_signal(how)
                    if wait_until_ended(postmaster, STOP_TIMEOUT_SECONDS):
                        break
        self._clear_remains()
        if self.layout.sockets.parent != self.layout.postgresql:
            with suppress(OSError):  # it is not there, or not ours
                self.layout.sockets.rmdir()

    @property
    def ready(self) -> bool:
        """Whether the server lives and answers."""
        return self._postmaster() is not None and self._postmaster_lines()[7:8] == ["ready"]

    # How it is made ----------------------------------------------------------------------------

    def _initialise(self, passwords: dict[str, str], start_lock: int) -> None:
        """Makes the database in a folder aside, and puts it in its place when it is whole."""
        layout = self.layout
        if layout.initialising.exists():
            shutil.rmtree(layout.initialising)
        layout.initialising.mkdir(mode=0o700)
        given = layout.initialising / "password"
        write_private(given, passwords[ADMINISTRATOR])
        if self.account.is_other:
            for path in (given, layout.initialising):
                os.chown(path, self.account.user_id, self.account.group_id)
        made = layout.initialising / "data"
        # Both have a share in start.lock, so that whoever comes after a kill waits for their end.
        self._run_initialiser(
            [
                self._programs / "initdb",
                *("--pgdata", made, "--username", ADMINISTRATOR, "--pwfile", given),
                *("--auth-local", "scram-sha-256", "--auth-host", "scram-sha-256"),
                *("--encoding", "UTF8", "--locale", "C"),
                *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            ],
            start_lock,
        )
        self._run_initialiser(
            [
                self._programs / "postgres",
                *("--single", "-D", made, "-c", "exit_on_error=on"),
                *("-c", "log_min_error_statement=panic", "postgres"),
            ],
            start_lock,
            given=INITIALISE.format(password=passwords[APPLICATION]),
        )
        made.rename(layout.data)
        flush_folder(layout.postgresql)
        shutil.rmtree(layout.initialising)

    def _run_initialiser(
        self, command: Sequence[str | Path], start_lock: int, *, given: str = ""
    ) -> None:
        ended = self.account.run(command, given=given, passed=(start_lock,))
        if ended.returncode != 0:
            raise DatabaseUnavailable(
                f"the database in {self.layout.data} could not be made: "
                f"{_last_lines(ended.stdout + ended.stderr)}",
                remedy="Mend what it names, or choose another ACTA_HOME.",
            )

    # How it runs -------------------------------------------------------------------------------

    @cached_property
    def _programs(self) -> Path:
        return find_programs(self.layout, self.account)

    def _start_server(self) -> None:
        log = self.layout.log
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.old"))
        told_before = log.stat().st_size if log.exists() else 0
        ended = self.account.run(
            [
                self._programs / "pg_ctl",
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
                remedy=f"Mend what it names; its whole log is {log}.",
            )

    def _postmaster(self) -> psutil.Process | None:
        """Returns the server's first process, if it lives."""
        lines = self._postmaster_lines()
        with suppress(psutil.Error, ValueError, IndexError):
            process = psutil.Process(int(lines[0]))
            return process if self._is_ours(process) else None
        return None

    def _postmaster_lines(self) -> list[str]:
        try:
            text = self._postmaster_file.read_text()
        except FileNotFoundError:
            return []
        return [line.strip() for line in text.splitlines()]

    @property
    def _postmaster_file(self) -> Path:
        return self.layout.data / "postmaster.pid"

    def _is_ours(self, process: psutil.Process) -> bool:
        # The number alone proves nothing: after a restart it may be anybody's.
        with suppress(psutil.Error):
            return process.name() == "postgres" and process.cwd() == str(self.layout.data)
        return False

    # What it leaves ----------------------------------------------------------------------------

    def _clear_remains(self) -> None:
        """Takes away what a killed server left, which would refuse the next one.

        Its own processes end soon by themselves. A number in its files may by now be another
        program's, or that of a dead one nobody buried, and be taken for a running server.
        """
        remains = [self._postmaster_file]
        if is_own(self.layout.sockets, self.account):
            socket = self.layout.socket
            remains += [socket, socket.with_name(f"{socket.name}.lock")]
        if any(path.exists() for path in remains):
            self._end_orphans()
            for path in remains:
                path.unlink(missing_ok=True)

    def _end_orphans(self) -> None:
        orphans = [process for process in psutil.process_iter() if self._is_ours(process)]
        for process in orphans:
            with suppress(psutil.NoSuchProcess):
                if not wait_until_ended(process, ORPHAN_TIMEOUT_SECONDS):
                    process.kill()
                    wait_until_ended(process, STOP_TIMEOUT_SECONDS)


def _last_lines(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-LOG_LINES_SHOWN:]) or "it said nothing"
