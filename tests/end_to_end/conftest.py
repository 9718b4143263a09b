"""A second ledger, to compare the first with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from handlers.composition import Acta, open_ledger
from handlers.store.embedded import EmbeddedServer
from tests.conftest import new_database


@pytest.fixture
def other_acta(server: EmbeddedServer, tmp_path: Path) -> Iterator[Acta]:
    """Another open ledger, on another database and with keys of its own."""
    with (
        new_database(server, tmp_path / "other-keys") as database,
        open_ledger(database.settings()) as opened,
    ):
        yield opened
