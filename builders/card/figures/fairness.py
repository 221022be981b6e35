"""How often prompts and models agree, group by group: points with their intervals."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from builders.annotator_marks import Estimate
from builders.card.facts.fairness import PEOPLE, Comparison
from builders.card.figures.drawing import FAINT, INK, SERIES, figure_style, save_figure, wrap_text
from builders.card.figures.inputs import FigureInputs

AGREEMENT_PATH = "figures/agreement.png"
MAX_COMPARISONS = 8
_MAX_GROUPS = 30
_GRID = "#dfe6e8"
_LABEL_CHARS = 30


def draw_people(inputs: FigureInputs) -> dict[str, str]:
    """Draw how prompts and models agree about people; nothing where prompts ask for nothing of them."""
    facts = inputs.facts.fairness
    about = [one for one in facts.comparisons if one.attribute in PEOPLE] if facts is not None else []
    if not about:
        return {}
    draw_agreement(inputs.release.folder / AGREEMENT_PATH, about, "Asked for and seen")
    return {AGREEMENT_PATH: "How often models see what prompts ask for, by group, with 95 % intervals"}


def draw_agreement(path: Path, comparisons: Sequence[Comparison], title: str) -> None:
    """Draw the agreement of each attribute by groups, lower groups in another colour.

    Args:
        path: A `.png` to write.
        comparisons: At least one; the first `MAX_COMPARISONS` are drawn.
        title: Of the figure.
    """
    shown = [(one, _lines(one)) for one in comparisons[:MAX_COMPARISONS]]
    heights = [len(lines) + 1.4 for _, lines in shown]
    with figure_style():
        figure = Figure(figsize=(8, 0.24 * sum(heights) + 0.9), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axis, (one, lines) in zip(axes, shown, strict=True):
            _draw_comparison(axis, one, lines)
        axes[-1].set_xlabel("agreement of prompt and model, with 95 % intervals")
        save_figure(figure, path)


def _lines(one: Comparison) -> list[tuple[str, Estimate, str]]:
    """List what is drawn of a comparison: name, share and colour, first of all images and then of groups."""
    groups = [(grouping.name, group) for grouping in one.groupings for group in grouping.groups]
    return [
        ("all images", one.agreement, INK),
        *(
            (f"{name}: {group.label}", group.agreement, SERIES[1] if group.is_lower else SERIES[2])
            for name, group in groups[:_MAX_GROUPS]
        ),
    ]


def _draw_comparison(axis: Axes, one: Comparison, lines: Sequence[tuple[str, Estimate, str]]) -> None:
    title = f"{one.attribute} · {one.model or 'model not named'}"
    axis.set_title(wrap_text(title, 70, 1), loc="left", fontsize=10, fontweight="bold")
    if one.agreement.value is not None:
        axis.axvline(one.agreement.value, color=FAINT, linewidth=1, linestyle="--")
    for place, (_, estimate, color) in enumerate(lines):
        if estimate.value is None or estimate.low is None or estimate.high is None:  # no group is empty
            continue
        axis.plot((estimate.low, estimate.high), (place, place), color=color, linewidth=2)
        axis.plot(estimate.value, place, "o", color=color, markersize=5)
        text = f"{estimate.value:.0%}   n = {estimate.total:,}"
        axis.text(1.01, place, text, transform=axis.get_yaxis_transform(), va="center", fontsize=8)
    axis.set_yticks(range(len(lines)), [wrap_text(name, _LABEL_CHARS, 1) for name, _, _ in lines], fontsize=8)
    axis.set_ylim(len(lines) - 0.4, -0.6)
    axis.set_xlim(0, 1.005)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axis.grid(axis="x", color=_GRID, linewidth=0.6)
    axis.tick_params(length=0)
    axis.spines[["top", "right", "left", "bottom"]].set_visible(False)
