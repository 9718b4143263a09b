"""Avro's binary form of values that are in the forms of JSON, compiled once for each schema.

The relay's speed is that of one thread of Python, and encoding was the largest part of it. So a
schema becomes a function written for it, as ``dataclasses`` does with fields (decision 25).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.personal import Sealed

__all__ = ["UNFIT", "Encode", "encoder"]

Encode = Callable[[Mapping[str, Any]], bytes]

UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What encoding raises at values that do not fit; its text may hold them."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = EPOCH.toordinal()
MICROSECOND = timedelta(microseconds=1)
MILLISECOND = timedelta(milliseconds=1)


def encoder(schema: Mapping[str, Any]) -> Encode:
    """The function that encodes records of this schema, without framing.

    It raises one of ``UNFIT`` where a value is missing, unknown, or not of its type.

    Raises:
        TypeError: a type of the schema has no place in a contract.
    """
    return _Compiler(schema["namespace"]).record(schema)


class _Compiler:
    """Writes a function for each record of a schema."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._names: dict[str, Any] = dict(VOCABULARY)

    def record(self, schema: Mapping[str, Any]) -> Encode:
        name = f"encode_{schema['name']}"
        fields = schema["fields"]
        self._names[f"completed_{name}"] = _completion(fields)
        values = [self._bytes_of(field["type"], f"values[{field['name']!r}]") for field in fields]
        source = (
            f"def {name}(values):\n"
            f"    if len(values) != {len(fields)}:\n"
            f"        values = completed_{name}(values)\n"
            f"    return join(({''.join(f'{value}, ' for value in values)}))\n"
        )
        # Nothing is in it but names of the schema, which are quoted.
        exec(source, self._names)  # noqa: S102  a loop over fields takes twice the time
        encode: Encode = self._names[name]
        return encode

    def _bytes_of(self, avro_type: Any, value: str) -> str:
        """The expression for the bytes of a value, given by an expression."""
        match avro_type:
            case ["null", kind]:
                return f"(NULL if (x := {value}) is None else SOME + {self._bytes_of(kind, 'x')})"
            case {"type": "array", "items": items}:
                return f"list_({value}, lambda x: {self._bytes_of(items, 'x')})"
            case {"type": "record", "name": name}:
                self.record(avro_type)
                return f"encode_{name}({value})"
            case {"logicalType": str(logical), "type": _} if logical in LOGICAL:
                return LOGICAL[logical].format(value)
            case str() if avro_type in PLAIN:
                return PLAIN[avro_type].format(value)
            case str() if avro_type.startswith(f"{self._namespace}."):
                return f"encode_{avro_type.rpartition('.')[2]}({value})"
            case _:
                raise TypeError(f"{avro_type} has no place in a contract")


def _completion(fields: list[dict[str, Any]]) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """Adds what may be left out; what is missing all the same is noticed when it is looked up."""
    names = {field["name"] for field in fields}
    defaults = {field["name"]: field["default"] for field in fields if "default" in field}

    def completed(values: Mapping[str, Any]) -> Mapping[str, Any]:
        if values.keys() - names:
            raise LookupError
        return {**defaults, **values}

    return completed


# ---------------------------------------------------------------- single values


PAIR_BITS = 14
PAIR_MASK = (1 << PAIR_BITS) - 1
FIRST = [bytes((pair & 0x7F | 0x80, pair >> 7 | 0x80)) for pair in range(1 << PAIR_BITS)]
LAST = [bytes((n & 0x7F | 0x80, n >> 7) if n >> 7 else (n,)) for n in range(1 << PAIR_BITS)]


class _Longs(dict[int, bytes]):
    """The bytes of whole numbers: seven bits in each, the lowest first; small ones lie ready."""

    def __missing__(self, number: int) -> bytes:
        if type(number) is not int:
            raise TypeError
        left = number << 1 ^ number >> 63
        if left >> 64:
            raise OverflowError
        found = b""
        while left > PAIR_MASK:
            found += FIRST[left & PAIR_MASK]
            left >>= PAIR_BITS
        return found + LAST[left]


LONGS = _Longs()
LONGS.update((number, LONGS[number]) for number in range(-64, 4096))


def _microseconds(text: str) -> bytes:
    return LONGS[(datetime.fromisoformat(text) - EPOCH) // MICROSECOND]


def _milliseconds(text: str) -> bytes:
    return LONGS[(datetime.fromisoformat(text) - EPOCH) // MILLISECOND]


def _day(text: str) -> bytes:
    return LONGS[date.fromisoformat(text).toordinal() - EPOCH_DAY]


def _token(text: str) -> bytes:
    token = Sealed.parse(text).token
    return LONGS[len(token)] + token


def _list(items: list[Any], encode: Callable[[Any], bytes]) -> bytes:
    if type(items) is not list:
        raise TypeError
    return LONGS[len(items)] + b"".join(map(encode, items)) + b"\0" if items else b"\0"


VOCABULARY = {
    "NULL": b"\0",
    "SOME": b"\2",
    "BOOLEANS": {False: b"\0", True: b"\1"},
    "LONGS": LONGS,
    "join": b"".join,
    "microseconds": _microseconds,
    "milliseconds": _milliseconds,
    "day": _day,
    "token": _token,
    "list_": _list,
}
"""What the functions that are compiled speak of."""

STRING = "LONGS[len(text := {}.encode())] + text"
PLAIN = {
    "string": f"({STRING})",
    "bytes": "token({})",
    "boolean": "BOOLEANS[{}]",
    "long": "LONGS[{}]",
}
LOGICAL = {
    "uuid": f"({STRING})",
    "timestamp-micros": "microseconds({})",
    "timestamp-millis": "milliseconds({})",
    "date": "day({})",
}
