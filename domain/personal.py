"""Personal data: in clear in the hands of whoever decides, sealed everywhere else.

An event class marks a field that belongs to a person::

    email: Annotated[PersonalText, Personal(of="person", purpose=Purpose.IDENTITY)]

The value is clear text while a decision is made, and a ``Sealed`` value from the moment it is
written: in payloads, projections and topics. A clear value cannot be serialised by mistake.
"""

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

__all__ = ["Personal", "PersonalText", "Purpose", "Sealed", "owner_of", "personal_fields"]


class Purpose(StrEnum):
    """What personal data is kept for. Each person has a key for each, which erasure drops (A11)."""

    IDENTITY = "identity"
    CORRESPONDENCE = "correspondence"
    TAX = "tax"


URLSAFE = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted value that says by itself which key and which place it belongs to."""

    token: bytes

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(self.token).decode("ascii")

    @classmethod
    def parse(cls, text: str) -> "Sealed":
        """Reads what ``str`` wrote.

        Raises:
            ValueError: the text is not a sealed value.
        """
        try:
            standard = text.encode("ascii").translate(URLSAFE)
            return cls(binascii.a2b_base64(standard, strict_mode=True))
        except ValueError:  # binascii.Error is one
            raise ValueError("not a sealed value") from None


PersonalText = str | Sealed
"""A personal value: clear while it is decided upon, sealed once written."""


@dataclass(frozen=True, slots=True)
class Personal:
    """Marks a field that belongs to a person.

    Attributes:
        of: name of the field of the same event that holds the person's id.
        purpose: what the value is kept for.
    """

    of: str
    purpose: Purpose

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        optional = type(None) in getattr(source, "__args__", ())
        schema: CoreSchema = core_schema.json_or_python_schema(
            # What is read from the log is always sealed, so no clear text can pose as sealed.
            json_schema=core_schema.no_info_after_validator_function(
                Sealed.parse, core_schema.str_schema()
            ),
            python_schema=core_schema.no_info_plain_validator_function(_clear_or_sealed),
            serialization=core_schema.plain_serializer_function_ser_schema(_sealed_only),
        )
        return core_schema.nullable_schema(schema) if optional else schema

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {
            "type": "string",
            "format": "sealed",
            "personal": {"of": self.of, "purpose": self.purpose.value},
        }


def personal_fields(event_class: type[BaseModel]) -> dict[str, Personal]:
    """The personal fields of an event class, by name."""
    return {
        name: mark
        for name, field in event_class.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Personal)
    }


def owner_of(event: BaseModel, mark: Personal) -> UUID:
    """The person to whom a marked field of this event belongs."""
    owner: UUID = getattr(event, mark.of)
    return owner


def _clear_or_sealed(value: object) -> PersonalText:
    if isinstance(value, str | Sealed):
        return value
    raise ValueError("a personal value is text, or sealed")


def _sealed_only(value: PersonalText) -> str:
    if isinstance(value, Sealed):
        return str(value)
    raise ValueError("a personal value leaves the domain only sealed")
