"""HTTP connections on which a whole answer has to arrive in time.

The timeout of a socket begins anew with each piece that arrives, so that whoever drips would never
be given up. Here it is what is left until the deadline, in each line of the head as in the body.
"""

from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from socket import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, Timeout, connection_from_url
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["pool_with_deadline"]


def pool_with_deadline(
    url: str, *, timeout_seconds: float, connections_max: int
) -> HTTPConnectionPool:
    """Connections to an address; whoever asks over them is answered in time, or not at all.

    Args:
        url: the address, without a path.
        timeout_seconds: for all of it: connecting, asking and the whole answer.
        connections_max: how many are kept.

    Raises:
        ValueError: it is no address.
    """
    pool = connection_from_url(
        url, timeout=Timeout(total=timeout_seconds), maxsize=connections_max, retries=False
    )
    # urllib3's own connections are no such thing to pyright.
    connection: Any = _TlsConnection if pool.scheme == "https" else _Connection
    pool.ConnectionCls = connection
    return pool


class _UntilDeadline(RawIOBase):
    """What arrives at a socket until its timeout is over, counted from now."""

    def __init__(self, sock: socket, raw: RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        timeout_seconds = sock.gettimeout()
        self._deadline = None if timeout_seconds is None else monotonic() + timeout_seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        if self._deadline is not None:
            left_seconds = self._deadline - monotonic()
            if left_seconds <= 0:
                raise TimeoutError
            self._sock.settimeout(left_seconds)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket, *more: Any, **others: Any) -> None:
        super().__init__(sock, *more, **others)
        self.fp = BufferedReader(_UntilDeadline(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    response_class: type[HTTPResponse] = _Response


class _TlsConnection(HTTPSConnection):
    response_class: type[HTTPResponse] = _Response
