"""How many examples Hypothesis tries: a tenth, always the same ones, unless it is a soak."""

import os

from hypothesis import settings

__all__ = ["load"]

EXAMPLES = 1000

settings.register_profile(
    "fast", max_examples=EXAMPLES // 10, derandomize=True, database=None, deadline=None
)
settings.register_profile("soak", max_examples=EXAMPLES, deadline=None, print_blob=True)


def load() -> None:
    """Chooses the profile; comes before the first test that uses Hypothesis."""
    settings.load_profile("soak" if os.environ.get("ACTA_SOAK") == "1" else "fast")


def pytest_configure() -> None:
    """Chooses the profile where this is a plugin: ``pytest -p tests.hypothesis_profiles``."""
    load()
