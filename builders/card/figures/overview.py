"""Figures of a release, drawn from its written files."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from builders.annotator_marks import Estimate
from builders.card.facts import ImageSummary, PreferenceSummary
from builders.card.figures.drawing import FAINT, INK, SERIES, figure_style, save_figure, shrink
from builders.card.figures.galleries import draw_rows
from builders.card.figures.inputs import FigureInputs
from builders.release.reader import ReleaseReader
from schemas.generators import Conditions

SAMPLE_PATH = "figures/sample.jpg"
GENERATORS_PATH = "figures/generators.png"
EXAMPLE_PATH = "figures/example.jpg"
PROMPTS_PATH = "figures/prompts.png"
PREFERENCES_PATH = "figures/preferences.png"

_COLUMNS = 8
_EXAMPLE_PIXELS = 224
_MAX_BARS, _MAX_SIZES = 40, 8
_CONDITIONS = {
    Conditions.NONE: "#2a9d8f",
    Conditions.USE: "#8ab17d",
    Conditions.RESTRICTED: "#e9a23b",
    Conditions.SEE_TERMS: "#b0a8b9",
}
_MAX_MODELS, _MAX_GROUPS = 6, 20


def draw_sample(inputs: FigureInputs) -> dict[str, str]:
    """Draw some images of each generator, and the image of the row that the card shows.

    Both are read together, since reading one image takes the memory of its whole row group.
    """
    release, facts = inputs.release, inputs.facts
    names = [generator.name for generator in inputs.used_generators]
    picks, example = _pick_rows(release, names), facts.example.number
    wanted = [example, *(row for rows in picks.values() for row in rows)]
    read = {
        row: values["image"]["bytes"] for row, values in release.rows("default", wanted, ["image"]).items()
    }
    shrink(read[example], _EXAMPLE_PIXELS).save(release.folder / EXAMPLE_PATH, quality=88)
    lines = {inputs.titles[name]: [read[row] for row in rows] for name, rows in picks.items()}
    draw_rows(release.folder / SAMPLE_PATH, lines)
    return {
        SAMPLE_PATH: f"Images, one row for each of {len(names)} generators",
        EXAMPLE_PATH: "Image of the example row",
    }


def draw_prompts_and_sizes(inputs: FigureInputs) -> dict[str, str]:
    """Draw lengths of prompts and sizes of images; nothing if there is no prompt and only one size."""
    images = inputs.facts.images
    if not images.prompt_lengths and len(images.sizes) == 1:
        return {}
    with figure_style():
        save_figure(_prompts_figure(images), inputs.release.folder / PROMPTS_PATH)
    caption = "Words in a prompt, and sizes of the images" if images.prompt_lengths else "Sizes of the images"
    return {PROMPTS_PATH: caption}


def draw_generators(inputs: FigureInputs) -> dict[str, str]:
    """Draw how many images each generator made."""
    with figure_style():
        save_figure(_generators_figure(inputs), inputs.release.folder / GENERATORS_PATH)
    return {GENERATORS_PATH: "Number of images by generator"}


def draw_preferences(inputs: FigureInputs) -> dict[str, str]:
    """Draw the win rates of the models; nothing where no pair names a model."""
    preferences = inputs.facts.preferences
    if preferences is None or not preferences.models:
        return {}
    with figure_style():
        save_figure(_preferences_figure(preferences), inputs.release.folder / PREFERENCES_PATH)
    return {PREFERENCES_PATH: "Share of decided pairs that each model won, with 95 % intervals"}


def _generators_figure(inputs: FigureInputs) -> Figure:
    generators, images = inputs.used_generators[::-1], inputs.facts.images  # the first bar is below
    counts = [images.generators[each.name] for each in generators]
    conditions = [each.terms.conditions for each in generators]
    colors = [_CONDITIONS[each] for each in conditions]
    figure = Figure(figsize=(8, 0.55 * len(generators) + 1.1), layout="constrained")
    axis = figure.subplots()
    bars = axis.barh([each.title for each in generators], counts, color=colors, height=0.7)
    labels = [f"{count:,}  ({count / images.total:.1%})" for count in counts]
    axis.bar_label(bars, labels=labels, padding=5, color=INK)
    axis.set_title(f"{images.total:,} images by generator", loc="left", fontweight="bold")
    axis.set_xlim(0, max(counts) * 1.22)
    axis.xaxis.set_visible(False)
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.spines["left"].set_color(FAINT)
    axis.tick_params(axis="y", length=0)
    key = [Patch(color=color, label=each) for each, color in _CONDITIONS.items() if each in conditions]
    axis.legend(handles=key, title="Conditions on images", loc="lower right", frameon=False)
    return figure


def _prompts_figure(images: ImageSummary) -> Figure:
    figure = Figure(figsize=(8, 3), layout="constrained")
    if images.prompt_lengths:
        lengths, sizes = figure.subplots(1, 2, width_ratios=(3, 2))
        _draw_lengths(lengths, images)
    else:
        sizes = figure.subplots()
    shown = [(f"{width} x {height}", count) for (width, height), count in images.sizes.items()]
    others = sum(count for _, count in shown[_MAX_SIZES:])
    shown = shown[:_MAX_SIZES] + ([("other sizes", others)] if others else [])
    names, widths = zip(*shown[::-1], strict=True)  # the first bar is below
    bars = sizes.barh(names, widths, color=INK, height=0.7)
    sizes.bar_label(bars, labels=[f"{count:,}" for count in widths], padding=3, fontsize=9)
    sizes.set_xlim(0, max(widths) * 1.25)
    sizes.set_ylim(min(-0.5, len(names) / 2 - 3), len(names) - 0.5)  # one size is no thick bar
    sizes.xaxis.set_visible(False)
    sizes.set_title("Image size in pixels", loc="left", fontsize=11)
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(FAINT)
    sizes.spines["bottom"].set_visible(False)
    return figure


def _draw_lengths(axis: Axes, images: ImageSummary) -> None:
    words, counts = zip(*images.prompt_lengths.items(), strict=True)
    bins = min(_MAX_BARS, max(words) - min(words) + 1)
    edges = (min(words) - 0.5, max(words) + 0.5)
    axis.hist(words, bins=bins, range=edges, weights=counts, color=SERIES[2])
    axis.set_title(f"Words in a prompt ({images.num_prompts:,} prompts)", loc="left", fontsize=11)
    axis.set_ylabel("prompts")


def _preferences_figure(facts: PreferenceSummary) -> Figure:
    """Draw each model's win rate, over all pairs and in each group, as a point with its interval."""
    models = [rate.model for rate in facts.models][:_MAX_MODELS]
    groups = [("all pairs", facts.models)]
    groups += [(one.group or "not stated", one.rates) for one in (*facts.categories, *facts.evolutions)]
    groups = groups[:_MAX_GROUPS]
    figure = Figure(figsize=(8, 1.2 + 0.22 * len(groups) * (len(models) + 0.6)), layout="constrained")
    axis = figure.subplots()
    step = 1 / (len(models) + 1)
    for number, model in enumerate(models):
        rates = [
            (place + (number + 1) * step - 0.5, *_percentages(rate.wins))
            for place, (_, own) in enumerate(groups)
            for rate in own
            if rate.model == model
        ]
        heights, values, low, high = zip(*rates, strict=True)
        axis.errorbar(
            values, heights, xerr=(low, high), fmt="o", color=SERIES[number], capsize=3, label=model
        )
    axis.axvline(50, color=FAINT, linewidth=1, linestyle=":")
    axis.set_yticks(range(len(groups)), [name for name, _ in groups])
    axis.set_ylim(len(groups) - 0.5, -0.5)
    axis.set_xlim(0, 100)
    axis.set_xlabel("decided pairs won, %")
    axis.set_title("Win rates of the models", loc="left", fontweight="bold")
    for place in range(1, len(groups)):
        axis.axhline(place - 0.5, color=FAINT, linewidth=0.4, alpha=0.5)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    below = (0.5, -0.9 / figure.get_figheight())
    axis.legend(loc="upper center", bbox_to_anchor=below, ncols=3, frameon=False)
    return figure


def _percentages(wins: Estimate) -> tuple[float, float, float]:
    """Return a rate in percent, and how far its interval reaches below and above; NaN where there is none."""
    if wins.value is None or wins.low is None or wins.high is None:
        return (math.nan,) * 3
    return 100 * wins.value, 100 * (wins.value - wins.low), 100 * (wins.high - wins.value)


def _pick_rows(release: ReleaseReader, names: Sequence[str]) -> dict[str, list[int]]:
    """Pick the first rows of each generator; rows have one order in every config, without meaning."""
    picks: dict[str, list[int]] = {name: [] for name in names}
    row = 0
    for group in release.row_groups("prompts", ["generator"]):
        for name in group["generator"].to_pylist():
            if len(picks[name]) < _COLUMNS:
                picks[name].append(row)
            row += 1
        if all(len(rows) == _COLUMNS for rows in picks.values()):
            return picks
    return picks
