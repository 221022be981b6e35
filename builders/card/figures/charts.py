"""Charts of what embeddings say: where near-duplicates begin, and how well images show their texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from scipy.ndimage import gaussian_filter1d

from builders.card.figures.drawing import FAINT, INK, SERIES, figure_style, save_figure, wrap_text
from builders.features.likeness import Likeness

_CHOSEN = SERIES[1]
_QUIET = "#b9c7cb"
_BINS = 100
_LABEL_CHARS = 28


@dataclass(frozen=True, slots=True)
class AdherencePanel:
    """Similarities of images with one kind of text.

    Attributes:
        title: What is compared.
        groups: Name of a generator or captioner → its (n,) similarities, as `split_by_group` gives them.
    """

    title: str
    groups: Mapping[str, npt.NDArray[np.float64]]


def draw_thresholds(path: Path, likeness: Likeness, threshold: float, encoder: str = "") -> None:
    """Draw what each threshold of similarity calls a near-duplicate, with the chosen one marked.

    Above, the share of images in groups and the number of groups at each threshold of the ladder; below, how
    alike the nearest image of each is.

    Args:
        path: A `.png` to write.
        likeness: From `compare_embeddings`.
        threshold: The chosen one.
        encoder: What made the features that are compared.
    """
    with figure_style():
        figure = Figure(figsize=(8, 6), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _draw_ladder(above, likeness, threshold)
        _draw_nearest(below, likeness, threshold)
        for axis in (above, below):
            axis.axvline(threshold, color=_CHOSEN, linewidth=1.2, linestyle="--")
            axis.spines[["top", "right"]].set_visible(False)
            axis.spines[["left", "bottom"]].set_color(FAINT)
        above.set_xlim(likeness.ladder[0].threshold, 1.002)
        above.xaxis.set_major_locator(MultipleLocator(0.05))
        above.xaxis.set_minor_locator(MultipleLocator(0.01))
        below.set_xlabel(f"cosine similarity · {encoder}" if encoder else "cosine similarity")
        save_figure(figure, path)


def _draw_ladder(axis: Axes, likeness: Likeness, threshold: float) -> None:
    ladder, total = likeness.ladder, len(likeness.nearest)
    thresholds = [rung.threshold for rung in ladder]
    images, groups = [rung.num_images for rung in ladder], [rung.num_groups for rung in ladder]
    axis.plot(thresholds, images, "o-", color=INK, markersize=4, label="images in groups")
    axis.plot(thresholds, groups, "s-", color=SERIES[2], markersize=3.5, label="groups")
    axis.set_yscale("symlog", linthresh=1)
    axis.set_ylim(0, total * 1.6)
    axis.yaxis.set_major_formatter("{x:,.0f}")
    chosen = ladder[thresholds.index(threshold)]
    share = chosen.num_images / total
    axis.set_title(
        f"At {threshold:g}: {chosen.num_images:,} of {total:,} images ({share:.2%}) "
        f"in {chosen.num_groups:,} groups of near-duplicates",
        loc="left",
        fontweight="bold",
        fontsize=11,
    )
    axis.grid(axis="y", color=_QUIET, linewidth=0.4)
    axis.legend(frameon=False, loc="lower left")


def _draw_nearest(axis: Axes, likeness: Likeness, threshold: float) -> None:
    edges = np.linspace(likeness.ladder[0].threshold, 1.0, _BINS + 1)
    # Embeddings are rounded, so that a copy's similarity can be a little above 1.
    counts = np.array(likeness.histogram((*edges[:-1], 1.01)))
    middles, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    colors = [_CHOSEN if middle >= threshold else _QUIET for middle in middles]
    axis.bar(middles, counts, width=width * 0.9, color=colors)
    axis.set_yscale("symlog", linthresh=1)
    axis.set_ylim(0, max(1, int(counts.max())) * 1.6)
    axis.yaxis.set_major_formatter("{x:,.0f}")
    axis.set_ylabel("images")
    fewer = int((likeness.nearest < edges[0]).sum())
    left_out = f"; {fewer:,} are less alike than {edges[0]:g}" if fewer else ""
    axis.set_title(f"Each image by its similarity with the nearest{left_out}", loc="left", fontsize=10)


def draw_adherence(path: Path, panels: Sequence[AdherencePanel]) -> None:
    """Draw how similar images are with their texts, by generator and by captioner.

    Each group is a distribution with its median as a point and a line from the 5th to the 95th percentile.

    Args:
        path: A `.png` to write.
        panels: At least one, each with at least one group, in order from the top.
    """
    shown = [list(panel.groups.items()) for panel in panels]
    heights = [len(groups) + 0.4 for groups in shown]
    everything = np.concatenate([values for groups in shown for _, values in groups])
    low, high = np.percentile(everything, (0.05, 99.95))
    margin = max(high - low, 0.01) * 0.06
    with figure_style():
        figure = Figure(figsize=(8, 0.62 * sum(heights) + 0.45 * len(panels) + 0.5), layout="constrained")
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for number, (axis, panel, groups) in enumerate(zip(axes, panels, shown, strict=True)):
            axis.set_title(panel.title, loc="left", fontweight="bold", fontsize=11)
            _draw_distributions(axis, groups, (low - margin, high + margin), SERIES[2 - 2 * (number % 2)])
        axes[0].set_xlim(low - margin, high + margin)
        axes[-1].set_xlabel(
            "cosine similarity of image and text (point: median, line: 5th to 95th percentile)"
        )
        save_figure(figure, path)


def _draw_distributions(
    axis: Axes, groups: Sequence[tuple[str, npt.NDArray[np.float64]]], bounds: tuple[float, float], color: str
) -> None:
    edges = np.linspace(*bounds, 2 * _BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    for place, (_, values) in enumerate(groups):
        counts = np.histogram(values, edges)[0].astype(np.float64)
        # Scott's rule for the width of a kernel, in bins.
        width = float(values.std()) * len(values) ** -0.2 / (edges[1] - edges[0])
        density = gaussian_filter1d(counts, max(width, 1.0))
        density *= 0.72 / max(density.max(), 1e-9)
        axis.fill_between(middles, place, place - density, color=color, alpha=0.35, linewidth=0)
        axis.plot(middles, place - density, color=color, linewidth=0.8)
        p5, p50, p95 = np.percentile(values, (5, 50, 95))
        axis.plot((p5, p95), (place, place), color=color, linewidth=2, solid_capstyle="round")
        axis.plot(p50, place, "o", color=INK, markersize=6)
        label = f"{p50:.3f}   n = {len(values):,}"
        axis.text(1.01, place, label, transform=axis.get_yaxis_transform(), va="center", fontsize=9)
    names = [wrap_text(name, _LABEL_CHARS, 2) for name, _ in groups]
    axis.set_yticks(range(len(groups)), names)
    axis.set_ylim(len(groups) - 0.65, -0.95)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color=_QUIET, linewidth=0.4)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(FAINT)
