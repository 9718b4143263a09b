"""What stands in the way, said in the reader's language (X2).

The domain speaks English, and its texts are the keys of gettext catalogues: one for each language
in ``handlers/locale``, as a translator keeps it. They are small, and compiled when they are read.
"""

from dataclasses import replace
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from domain.obstacles import Obstacle

__all__ = ["DEFAULT_LANGUAGE", "LANGUAGES", "catalogue_of", "translated"]

LOCALE = Path(__file__).parent / "locale"
DEFAULT_LANGUAGE = "es"
LANGUAGES = ("en", *sorted(folder.name for folder in LOCALE.iterdir()))
"""Those in which answers can be given."""


def translated(obstacle: Obstacle, language: str | None) -> Obstacle:
    """The same obstacle in a language.

    Args:
        obstacle: as the domain says it.
        language: a tag such as ``es-CL``; Spanish where there is none, or no catalogue for it.
    """
    texts = _translations(_known(language))
    return replace(
        obstacle,
        message=texts.gettext(obstacle.message),
        remedy=texts.gettext(obstacle.remedy),
        contact=texts.gettext(obstacle.contact),
    )


def catalogue_of(language: str) -> Path:
    """The file of a language's texts."""
    return LOCALE / language / "LC_MESSAGES" / "acta.po"


def _known(language: str | None) -> str:
    spoken = (language or DEFAULT_LANGUAGE).partition("-")[0]
    return spoken if spoken in LANGUAGES else DEFAULT_LANGUAGE


@cache
def _translations(language: str) -> NullTranslations:
    if language == "en":
        return NullTranslations()
    compiled = BytesIO()
    with catalogue_of(language).open("rb") as file:
        write_mo(compiled, read_po(file, locale=language, abort_invalid=True))
    compiled.seek(0)
    return GNUTranslations(compiled)
