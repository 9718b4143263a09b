"""What the tests of the contracts share."""

import pytest

import domain.event


@pytest.fixture
def throw_away_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events defined in the test are forgotten after it."""
    monkeypatch.setattr(domain.event, "_classes_by_topic", {**domain.event._classes_by_topic})
