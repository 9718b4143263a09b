"""A door on TCP to a PostgreSQL that listens on a socket of the file system only."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

from psycopg.conninfo import conninfo_to_dict


@contextmanager
def door(address: str) -> Iterator[int]:
    """A port of this machine behind which is the server of an address of libpq."""
    server = conninfo_to_dict(address)
    path = f"{server['host']}/.s.PGSQL.{server['port']}"

    class Guest(BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as inside:
                inside.connect(path)
                back = Thread(target=pass_on, args=(inside, self.request))
                back.start()
                pass_on(self.request, inside)
                back.join()

    with ThreadingTCPServer(("127.0.0.1", 0), Guest) as doorkeeper:
        thread = Thread(target=doorkeeper.serve_forever)
        thread.start()
        try:
            yield int(doorkeeper.server_address[1])
        finally:
            doorkeeper.shutdown()
            thread.join()


def pass_on(source: Any, target: Any) -> None:
    """Gives everything on until the source ends, and then says so."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
