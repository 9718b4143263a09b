"""Words of people in spreadsheets: accents, letter case, space and punctuation do not matter."""

import re
import unicodedata
from collections.abc import Mapping

__all__ = ["meanings", "plain"]


def plain(text: str) -> str:
    """Letters and digits alone, without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(re.findall(r"[a-z0-9]+", decomposed))


def meanings(names: Mapping[str, str]) -> dict[str, str]:
    """What each plain word means.

    Args:
        names: by meaning, which is a word for itself too, its words with commas between.
    """
    return {
        plain(name): meaning
        for meaning, listed in names.items()
        for name in (meaning, *listed.split(","))
    }
