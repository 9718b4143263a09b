"""The columns of a list of people: what spreadsheets call them, and how their cells are written."""

from typing import Literal

import phonenumbers

from handlers.spreadsheets.headers import meanings, plain

__all__ = ["FIELDS", "HEADERS", "HeaderLanguage", "field_of", "role_code", "with_country_code"]

HeaderLanguage = Literal["es", "en"]

FIELDS = (
    "given_name", "paternal_surname", "maternal_surname", "rut", "email", "phone", "role",
)  # fmt: skip

HEADERS: dict[HeaderLanguage, tuple[str, ...]] = {
    "es": (
        "Nombres", "Apellido paterno", "Apellido materno", "RUT", "Correo electrónico",
        "Teléfono móvil", "Rol",
    ),
    "en": (
        "Given name", "Paternal surname", "Maternal surname", "RUT", "Email", "Mobile phone",
        "Role",
    ),
}  # fmt: skip
"""The header names of a template, in the order of ``FIELDS``."""

_NAMES = {
    "given_name": "nombre, nombres, nombre de pila, given name, given names, first name, name",
    "paternal_surname": "apellido paterno, primer apellido, paternal surname, first surname",
    "maternal_surname": "apellido materno, segundo apellido, maternal surname, second surname",
    "rut": "rut, run",
    "email": "correo, correo electrónico, e-mail, email, mail, e-mail address",
    "phone": "teléfono, celular, móvil, teléfono móvil, teléfono celular, número de teléfono,"
    " phone, phone number, mobile, mobile phone, mobile number",
    "role": "rol, perfil, role",
}
_ROLES = {
    "super_administrator": "super-administrador, super-administradora, super-administrator",
    "administrator": "administrador, administradora, administrador(a), administrator, admin",
    "user": "usuario, usuaria, usuario(a), user",
}


def field_of(header: str) -> str | None:
    """The field that a header names, in Spanish or English; None where it names none.

    Accents, letter case, spaces and punctuation make no difference.
    """
    return _FIELD_BY_NAME.get(plain(header))


def role_code(text: str) -> str:
    """The code of a role named in Spanish or English; any other text as it is.

    The domain refuses what is no role, with its own fault.
    """
    return _CODE_BY_ROLE.get(plain(text), text)


def with_country_code(text: str) -> str:
    """A phone number in E.164 form, read as Chilean where it names no country.

    Text that is no valid number is returned as it is, for the domain to refuse.
    """
    try:
        number = phonenumbers.parse(text, "CL")
    except phonenumbers.NumberParseException:
        return text
    if not phonenumbers.is_valid_number(number):
        return text
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_FIELD_BY_NAME = meanings(_NAMES)
_CODE_BY_ROLE = meanings(_ROLES)
