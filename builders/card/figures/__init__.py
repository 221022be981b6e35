"""The figures of a card. A figure is one function and one line in `FIGURES`.

A figure's function draws into the release folder and returns path → caption, for none, one or more files. The
card shows them in the order of the table.
"""

from collections.abc import Callable, Mapping

from builders.card.figures.fairness import draw_people
from builders.card.figures.features import (
    draw_duplicate_thresholds,
    draw_duplicates,
    draw_fits,
    draw_searches,
)
from builders.card.figures.inputs import FigureInputs
from builders.card.figures.overview import (
    draw_generators,
    draw_preferences,
    draw_prompts_and_sizes,
    draw_sample,
)

FIGURES: Mapping[str, Callable[[FigureInputs], Mapping[str, str]]] = {
    "sample": draw_sample,  # the first is the card's thumbnail
    "generators": draw_generators,
    "prompts and sizes": draw_prompts_and_sizes,
    "preferences": draw_preferences,
    "people": draw_people,
    "searches": draw_searches,
    "fits": draw_fits,
    "near-duplicates": draw_duplicates,
    "near-duplicate thresholds": draw_duplicate_thresholds,
}


def draw_figures(inputs: FigureInputs) -> dict[str, str]:
    """Draw every figure into the release folder.

    Returns:
        Path of each figure in the release → its caption; the first is the one for a thumbnail.

    Raises:
        AssertionError: A figure of the table has no caption, or was not written.
    """
    (inputs.release.folder / "figures").mkdir(exist_ok=True)
    drawn: dict[str, str] = {}
    for name, draw in FIGURES.items():
        for path, caption in draw(inputs).items():
            if not caption.strip() or not (inputs.release.folder / path).is_file():
                raise AssertionError(f"the figure {name!r} has no caption or no file: {path}")
            drawn[path] = caption
    return drawn
