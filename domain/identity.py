"""Who somebody is: e-mail addresses, mobile phones, RUTs; and how to name an account.

Every type validates on the way in and keeps one canonical spelling. The ``*_key`` functions give
the one form by which two spellings are compared (A3). Messages never repeat the value: it is
personal, and messages reach logs.
"""

import re
import unicodedata
from typing import Annotated
from uuid import UUID

import email_validator
import idna
import phonenumbers
from pydantic import AfterValidator, StringConstraints
from stdnum.cl import rut as chilean_rut
from stdnum.exceptions import ValidationError as NumberError

__all__ = [
    "Email",
    "Language",
    "MobilePhone",
    "PersonName",
    "Rut",
    "WhichInvitation",
    "Who",
    "WhoPays",
    "email_key",
    "phone_key",
    "rut_key",
]


def _valid_email(text: str) -> str:
    try:
        checked = email_validator.validate_email(
            unicodedata.normalize("NFC", text.strip()), check_deliverability=False
        )
    except email_validator.EmailNotValidError:
        raise ValueError("not an e-mail address; write one such as name@example.com") from None
    return checked.normalized


def _valid_phone(text: str) -> str:
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        raise ValueError(_PHONE_FORM) from None
    mobile = phonenumbers.number_type(number) in (
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    )
    if not phonenumbers.is_valid_number(number) or not mobile:
        raise ValueError(_PHONE_FORM)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_PHONE_FORM = "not a mobile number; write it with its country code, such as +56 9 6123 4567"


def _valid_rut(text: str) -> str:
    try:
        # Zeros in front are no part of the number, or one RUT would have two spellings (A3).
        compact = str(chilean_rut.validate(chilean_rut.compact(text).lstrip("0")))
    except NumberError:
        raise ValueError(
            "not a RUT: the check digit or the form is wrong; write it such as 12.345.678-5"
        ) from None
    return f"{compact[:-1]}-{compact[-1].upper()}"


def _valid_who(text: str) -> str:
    text = text.strip()
    kind, colon, rest = text.partition(":")
    if colon and kind in ("person", "account"):
        try:
            return f"{kind}:{UUID(rest)}"
        except ValueError:
            raise ValueError(
                f"not an id of an account or a person; write 32 hexadecimal digits after {kind}:"
            ) from None
    try:
        return _valid_email(text)
    except ValueError:
        raise ValueError(
            "not what names an account; write an e-mail address, person:ID or account:ID"
        ) from None


def _valid_who_pays(text: str) -> str:
    return _valid_reference(text, "plan") or _valid_who(text)


def _valid_invitation(text: str) -> str:
    reference = _valid_reference(text, "invitation")
    if reference is not None:
        return reference
    try:
        return _valid_email(text)
    except ValueError:
        raise ValueError(
            "not what names an invitation; write an e-mail address or invitation:ID"
        ) from None


def _valid_reference(text: str, kind: str) -> str | None:
    prefix, colon, rest = text.strip().partition(":")
    if not colon or prefix != kind:
        return None
    try:
        return f"{kind}:{UUID(rest)}"
    except ValueError:
        raise ValueError(
            f"not an id of {'an' if kind[0] in 'aeiou' else 'a'} {kind};"
            f" write 32 hexadecimal digits after {kind}:"
        ) from None


def _valid_language(text: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Z]{2})?", text):
        raise ValueError("not a language tag; write one such as es or es-CL")
    return text


Email = Annotated[str, AfterValidator(_valid_email)]
"""An e-mail address of valid form, as its owner spells it."""

MobilePhone = Annotated[str, AfterValidator(_valid_phone)]
"""A mobile number in E.164 form, such as ``+56961234567`` (A4)."""

Rut = Annotated[str, AfterValidator(_valid_rut)]
"""A Chilean RUT without dots and with its check digit, such as ``12345678-5``."""

PersonName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
"""A given name or a surname."""

Language = Annotated[str, AfterValidator(_valid_language)]
"""A language tag, such as ``es`` or ``es-CL``."""

Who = Annotated[str, AfterValidator(_valid_who)]
"""An e-mail (whoever holds it now), ``person:ID`` or ``account:ID``."""


WhoPays = Annotated[str, AfterValidator(_valid_who_pays)]
"""As ``Who``; or an institutional plan, by ``plan:ID``."""

WhichInvitation = Annotated[str, AfterValidator(_valid_invitation)]
"""An invitation: the e-mail to which it is open, or ``invitation:ID``."""


def email_key(email: str) -> str:
    """The form in which addresses are compared: letter case, Unicode form, IDN domain (A3).

    Raises:
        ValueError: not an e-mail address.
    """
    local, _, domain = _valid_email(email).rpartition("@")
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", local).casefold())
    return f"{folded}@{idna.encode(domain, uts46=True).decode('ascii').lower()}"


def rut_key(rut: str) -> str:
    """The form in which RUTs are compared: without dots or dash, K upper case (A3).

    Raises:
        ValueError: not a RUT.
    """
    return _valid_rut(rut).replace("-", "")


def phone_key(phone: str) -> str:
    """The form in which mobile numbers are compared.

    Raises:
        ValueError: not a mobile number.
    """
    return _valid_phone(phone)
