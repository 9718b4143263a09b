"""What stands in the way is said in Spanish and in English (X2)."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence

import pytest
from babel.messages.pofile import read_po

import domain
from domain.obstacles import SUSPENDED, Obstacle
from handlers.translation import LANGUAGES, catalogue_of, translated

CATALOGUES = [language for language in LANGUAGES if language != "en"]


def obstacles() -> Iterator[Obstacle]:
    """Every obstacle that the domain has, wherever it is written."""
    for module in pkgutil.iter_modules(domain.__path__):
        yield from _obstacles_in(
            list(vars(importlib.import_module(f"domain.{module.name}")).values())
        )


def _obstacles_in(value: object) -> Iterator[Obstacle]:
    if isinstance(value, Obstacle):
        yield value
    elif isinstance(value, Mapping):
        yield from _obstacles_in(list(value.values()))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _obstacles_in(each)


TEXTS = {text for each in obstacles() for text in (each.message, each.remedy, each.contact)}


@pytest.mark.rule("X2")
@pytest.mark.parametrize("language", CATALOGUES)
def test_every_text_has_its_translation_and_none_is_left_over(language: str) -> None:
    with catalogue_of(language).open("rb") as file:
        catalogue = read_po(file, locale=language, abort_invalid=True)
    messages = [message for message in catalogue if message.id]
    assert {str(message.id) for message in messages} == TEXTS
    assert all(message.string and message.string != message.id for message in messages)
    assert not any(message.fuzzy for message in messages)


def test_english_is_what_the_domain_says() -> None:
    assert all(translated(obstacle, "en-GB") == obstacle for obstacle in obstacles())


@pytest.mark.parametrize("language", ["es", "es-CL", "fr", None])
def test_else_it_is_spanish(language: str | None) -> None:
    said = translated(SUSPENDED, language)
    assert said.message == "la cuenta está suspendida"
    assert (said.rule, said.remedy) == (SUSPENDED.rule, "Pida que la reactiven.")
