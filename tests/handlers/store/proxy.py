"""A socket between Acta and PostgreSQL that loses answers, as a network does."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

READY_FOR_QUERY = b"Z\x00\x00\x00\x05I"
"""Ends the server's answer, in autocommit once it has committed."""


class Loss(Enum):
    """When an answer is lost."""

    AT_ONCE = "hang up while the server is still at the question"
    AFTER_COMMIT = "hang up once the server has committed and answered"
    WITH_SERVER = "keep the answer back until the server's process has ended"


class LossyProxy:
    """Passes everything on, but loses one answer when told to.

    Attributes:
        address: where to connect instead of to the server.
        lost: set once an answer has been lost.
    """

    def __init__(self, address: str, folder: Path) -> None:
        server = conninfo_to_dict(address)
        self.address = make_conninfo(address, host=str(folder), requirepeer="")
        self.lost = threading.Event()
        self._server = f"{server['host']}/.s.PGSQL.{server['port']}"
        self._marker: bytes | None = None
        self._loss = Loss.AFTER_COMMIT
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(f"{folder}/.s.PGSQL.{server['port']}")
        self._listening.listen()
        self._start(self._accept)

    def lose_answer_to(self, marker: bytes, loss: Loss = Loss.AFTER_COMMIT) -> None:
        """Loses the answer to the next question that holds the marker."""
        self.lost.clear()
        self._marker, self._loss = marker, loss

    def close(self) -> None:
        """Hangs up on everybody, and returns when all is closed."""
        self._hang_up(self._listening, *self._sockets)
        for thread in self._threads:
            thread.join()
        for each in (self._listening, *self._sockets):
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                self._sockets += [client, server]
                losing = threading.Event()
                self._start(self._ask, client, server, losing)
                self._start(self._answer, server, client, losing)

    def _ask(self, client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self._marker is not None and self._marker in data:
                    self._marker = None
                    losing.set()
                server.sendall(data)
                if losing.is_set() and self._loss is Loss.AT_ONCE:
                    # The server is left with the question, as by a network that broke.
                    self._hang_up(client)
                    self.lost.set()
                    return
        self._hang_up(client, server)

    def _answer(
        self, server: socket.socket, client: socket.socket, losing: threading.Event
    ) -> None:
        answer = b""
        with suppress(OSError):
            while data := server.recv(65536):
                if not losing.is_set():
                    client.sendall(data)
                    continue
                answer += data
                if answer.endswith(READY_FOR_QUERY):
                    self.lost.set()
                    if self._loss is not Loss.WITH_SERVER:
                        break
        self._hang_up(client, server)

    def _hang_up(self, *sockets: socket.socket) -> None:
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
