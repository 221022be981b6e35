"""Figures of a release, drawn from its written files."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pyarrow.parquet as pq
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from PIL import Image, ImageOps

from builders.facts import Facts
from schemas.generators import GENERATORS
from schemas.manifest import Shard

SAMPLE_PATH = "figures/sample.jpg"
GENERATORS_PATH = "figures/generators.png"

_COLUMNS = 8
_TILE_PIXELS = 160
_PERMISSIVE, _RESTRICTED, _INK, _FAINT = "#2a9d8f", "#e9a23b", "#264653", "#8a99a0"
# Fixed, so that nobody's matplotlibrc changes a figure.
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": _INK,
    "figure.dpi": 100,
    "savefig.dpi": 100,
}


def draw_figures(folder: Path, shards: Sequence[Shard], facts: Facts) -> dict[str, str]:
    """Draw every figure into the release folder.

    Args:
        folder: The release being built.
        shards: Its data files, in order.
        facts: Its numbers.

    Returns:
        Path of each figure in the release → what it shows; the first is the one for a thumbnail.
    """
    (folder / "figures").mkdir(exist_ok=True)
    with mpl.rc_context({**mpl.rcParamsDefault, "backend": mpl.get_backend()}):
        mpl.rcParams.update(_STYLE)
        _save(_sample_figure(folder, shards, facts), folder / SAMPLE_PATH)
        _save(_generators_figure(facts), folder / GENERATORS_PATH)
    return {
        SAMPLE_PATH: f"Images of the dataset, one row for each of {len(facts.generators)} generators",
        GENERATORS_PATH: "Number of images by generator",
    }


def _sample_figure(folder: Path, shards: Sequence[Shard], facts: Facts) -> Figure:
    names = [name for name in GENERATORS if name in facts.generators]
    picks = _pick_rows(folder, shards, names)
    tiles = dict(_read_tiles(folder, shards, sorted(row for rows in picks.values() for row in rows)))
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.05, wspace=0.02, hspace=0.02)
    figure = Figure(figsize=(_COLUMNS * 1.62 + 0.1, len(names) * 1.9 + 0.1), layout=layout)
    axes = figure.subplots(len(names), _COLUMNS, squeeze=False)
    for line, name in zip(axes, names, strict=True):
        line[0].set_title(GENERATORS[name].title, loc="left", fontweight="bold", fontsize=11)
        for axis, row in zip(line, picks[name], strict=False):
            axis.imshow(tiles[row])
        for axis in line:
            axis.set_axis_off()
    return figure


def _generators_figure(facts: Facts) -> Figure:
    names = list(facts.generators)[::-1]
    counts = [facts.generators[name] for name in names]
    colors = [_PERMISSIVE if GENERATORS[name].terms.permissive else _RESTRICTED for name in names]
    figure = Figure(figsize=(8, 0.55 * len(names) + 1.1), layout="constrained")
    axis = figure.subplots()
    bars = axis.barh([GENERATORS[name].title for name in names], counts, color=colors, height=0.7)
    labels = [f"{count:,}  ({count / facts.num_images:.1%})" for count in counts]
    axis.bar_label(bars, labels=labels, padding=5, color=_INK)
    axis.set_title(f"{facts.num_images:,} images by generator", loc="left", fontweight="bold")
    axis.set_xlim(0, max(counts) * 1.22)
    axis.xaxis.set_visible(False)
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.spines["left"].set_color(_FAINT)
    axis.tick_params(axis="y", length=0)
    key = [
        Patch(color=_PERMISSIVE, label="permissive terms"),
        Patch(color=_RESTRICTED, label="restricted terms"),
    ]
    axis.legend(handles=key, loc="lower right", frameon=False)
    return figure


def _pick_rows(folder: Path, shards: Sequence[Shard], names: Sequence[str]) -> dict[str, list[int]]:
    """Pick the first rows of each generator; rows have one order in every config, without meaning."""
    picks: dict[str, list[int]] = {name: [] for name in names}
    row = 0
    for shard in shards:
        if shard.config != "prompts":
            continue
        with pq.ParquetFile(folder / shard.path) as file:
            for group in range(file.num_row_groups):
                for name in file.read_row_group(group, ["generator"])["generator"].to_pylist():
                    if len(picks[name]) < _COLUMNS:
                        picks[name].append(row)
                    row += 1
                if all(len(rows) == _COLUMNS for rows in picks.values()):
                    return picks
    return picks


def _read_tiles(
    folder: Path, shards: Sequence[Shard], rows: Sequence[int]
) -> Iterator[tuple[int, Image.Image]]:
    """Yield (row, tile) for rows of the default config, reading only the row groups they are in."""
    first = 0
    for shard in shards:
        if shard.config != "default":
            continue
        with pq.ParquetFile(folder / shard.path) as file:
            for group in range(file.num_row_groups):
                num_rows = file.metadata.row_group(group).num_rows
                wanted = [row for row in rows if first <= row < first + num_rows]
                if wanted:
                    images = file.read_row_group(group, columns=["image"])["image"]
                    for row in wanted:
                        yield row, _tile(images[row - first]["bytes"].as_py())
                first += num_rows


def _tile(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (_TILE_PIXELS, _TILE_PIXELS))
        return ImageOps.fit(image.convert("RGB"), (_TILE_PIXELS, _TILE_PIXELS), Image.Resampling.LANCZOS)


def _save(figure: Figure, path: Path) -> None:
    if path.suffix == ".jpg":
        figure.savefig(path, facecolor="white", pil_kwargs={"quality": 88})
    else:
        figure.savefig(path, facecolor="white", metadata={"Software": None})
