"""A ledger to which a test tells its story."""

import pytest

from handlers.composition import Acta
from tests.handlers.stories import Story


@pytest.fixture
def story(acta: Acta) -> Story:
    """Told to a ledger of the test's own."""
    return Story(acta)
