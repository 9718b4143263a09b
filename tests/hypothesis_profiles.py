"""How many examples Hypothesis tries: a tenth, always the same ones, unless it is a soak.

Importing this module chooses the profile, so it comes before the first test that uses Hypothesis.
"""

import os

from hypothesis import Phase, settings

EXAMPLES = 1000

settings.register_profile(
    "fast", max_examples=EXAMPLES // 10, derandomize=True, database=None, deadline=None
)
settings.register_profile("soak", max_examples=EXAMPLES, deadline=None, print_blob=True)
# A mutant has to fail; how small an example would have made it fail is of no interest.
settings.register_profile(
    "mutant", settings.get_profile("fast"), phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("soak" if os.environ.get("ACTA_SOAK") == "1" else "fast")
