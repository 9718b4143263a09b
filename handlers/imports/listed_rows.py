"""From a row as it stands in a file to whom it invites, or to everything that is wrong with it."""

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from domain.account import Role
from domain.identity import email_key, rut_key
from domain.invitation import InviteeDetails
from domain.invitation_import import ImportFault, ListedRow
from handlers.imports.columns import role_code, with_country_code
from handlers.imports.reading import ListedPerson

__all__ = ["listed_rows"]

KEY_BYTES = 16
ROLES = ", ".join(role.value for role in Role)
_READ_AS = {"role": role_code, "phone": with_country_code}
_KEYS = {"email": email_key, "rut": rut_key}


def listed_rows(people: Iterable[ListedPerson]) -> Iterator[ListedRow]:
    """The rows of a list, each with every fault of it and none of its values (I2, I5).

    The second of two rows for one person is faulty (I3). Of those before no more is kept than
    digests, under a key that lives as long as this iterator.
    """
    seen = _Seen()
    for person in people:
        yield _listed(person, seen)


class _Seen:
    """In which row an e-mail or a RUT stood first."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(KEY_BYTES)
        self._rows: dict[bytes, int] = {}

    def digest(self, field: str, value: str) -> bytes:
        """What is kept of a value, however it is spelled (A3)."""
        text = f"{field}:{_KEYS[field](value)}".encode()
        return hashlib.blake2b(text, key=self._key, digest_size=KEY_BYTES).digest()

    def row(self, digest: bytes) -> int | None:
        """The row in which it stood."""
        return self._rows.get(digest)

    def note(self, digest: bytes, row: int) -> None:
        """It stands in this row."""
        self._rows[digest] = row


def _listed(person: ListedPerson, seen: _Seen) -> ListedRow:
    faults = [_fault("I2", fault.field, fault.message, fault.remedy) for fault in person.faults]
    values = {
        name: _READ_AS[name](text) if name in _READ_AS else text
        for name, text in person.values.items()
        if text
    }
    invitee = None
    try:
        invitee = InviteeDetails(**values)  # type: ignore[arg-type]  # to be judged by the domain
    except ValidationError as error:
        known = {fault.column for fault in faults}
        judged = map(_judged, error.errors(include_input=False, include_url=False))
        faults += [fault for fault in judged if fault.column not in known]
    keys = _keys(values, faults, seen)
    faults += [
        _fault("I3", field, f"is that of row {row} too", "Give each person one row; take one away.")
        for field, digest in keys.items()
        if (row := seen.row(digest)) is not None
    ]
    if faults or invitee is None:
        return ListedRow(row=person.row, faults=tuple(faults))
    for digest in keys.values():
        seen.note(digest, person.row)
    return ListedRow(row=person.row, invitee=invitee)


def _keys(
    values: Mapping[str, str], faults: Iterable[ImportFault], seen: _Seen
) -> dict[str, bytes]:
    """What a row has in common with another one for the same person, where it can be read."""
    faulty = {fault.column for fault in faults}
    return {
        field: seen.digest(field, values[field])
        for field in _KEYS
        if field in values and field not in faulty
    }


def _judged(detail: Mapping[str, Any]) -> ImportFault:
    """A fault in words of ours: pydantic's may repeat a part of the value."""
    column = str(detail["loc"][0])
    match detail["type"]:
        case "missing":
            return _fault("I2", column, "is missing", "Fill it in: an invitation needs all of it.")
        case "enum":
            return _fault("I2", column, "is no role that there is", f"Write one of {ROLES}.")
        case "string_too_long":
            most = detail["ctx"]["max_length"]
            return _fault("I2", column, "is too long", f"Write at most {most} characters.")
        case "value_error":
            what, _, mend = str(detail["ctx"]["error"]).partition("; ")
            return _fault("I2", column, f"is {what}", f"{mend[:1].upper()}{mend[1:]}.")
        case _:
            return _fault("I2", column, "is not what the column takes", "Correct it.")


def _fault(rule: str, column: str | None, message: str, remedy: str) -> ImportFault:
    return ImportFault(rule=rule, column=column, message=message, remedy=remedy)
