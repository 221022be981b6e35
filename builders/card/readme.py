"""The dataset card: README.md and LICENSES.md, rendered from facts read back from the written files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
import yaml
from datasets import DatasetInfo, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData
from rich.filesize import decimal

from builders.facts import Facts
from schemas.columns import features, flatten
from schemas.generators import GENERATORS, Terms
from schemas.manifest import Counts, Shard
from schemas.records import CONFIGS
from schemas.settings import DatasetSettings

CARD_NAME = "README.md"
LICENSES_NAME = "LICENSES.md"
LICENSE_NAME = "per-image-terms"

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("builders.card"),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - Markdown, not HTML; values from data pass through the `cell` filter
)


@dataclass(frozen=True, slots=True)
class CardInputs:
    """Everything that a card says.

    Attributes:
        dataset: What the maintainer says.
        version: The dataset's version.
        facts: What the files say.
        shards: The data files.
        counts: Where the input rows went.
        notices: What the sources demand to be said first.
        bibtex: The citations.
        changes: The changelog's entry for this version; may be empty.
        figures: Path of each figure in the release → what it shows.
    """

    dataset: DatasetSettings
    version: str
    facts: Facts
    shards: tuple[Shard, ...]
    counts: Counts
    notices: tuple[str, ...]
    bibtex: str
    changes: str
    figures: Mapping[str, str]


def render_card(inputs: CardInputs) -> str:
    """Render README.md: the Hub's YAML header, then the card for people."""
    return f"---\n{_metadata(inputs).to_yaml().strip()}\n---\n\n{_render('README.md.j2', inputs)}"


def render_licenses(inputs: CardInputs) -> str:
    """Render LICENSES.md: what binds the images of each generator."""
    return _render("LICENSES.md.j2", inputs)


def read_numbers(card: str) -> dict[str, int]:
    """Read a card's numbers back: rows of each config and split, and images of each generator.

    Args:
        card: Text of README.md.

    Returns:
        Numbers by name, such as `default/train` and `generator SDXL`; the counterpart of `true_numbers`.
    """
    header = DatasetCardData(**_yaml_header(card))
    numbers = {
        f"{config}/{split.name}": int(split.num_examples or 0)
        for config, info in DatasetInfosDict.from_dataset_card_data(header).items()
        for split in (info.splits or {}).values()
    }
    table = re.search(r"<!-- generators -->(.*?)<!-- /generators -->", card, re.DOTALL)
    for name, count in re.findall(
        r"^\| `([^`]+)` \|[^|]*\| ([\d,]+) \|", table.group(1) if table else "", re.MULTILINE
    ):
        numbers[f"generator {name}"] = int(count.replace(",", ""))
    return numbers


def true_numbers(facts: Facts) -> dict[str, int]:
    """Give the numbers that a card must have, under the names of `read_numbers`."""
    numbers = {
        f"{config}/{split}": size.num_rows
        for config, splits in facts.splits.items()
        for split, size in splits.items()
    }
    return numbers | {f"generator {name}": count for name, count in facts.generators.items()}


def _metadata(inputs: CardInputs) -> DatasetCardData:
    dataset, facts = inputs.dataset, inputs.facts
    card = DatasetCardData(
        pretty_name=dataset.title,
        language=list(dataset.languages),
        license="other",
        license_name=LICENSE_NAME,
        license_link=LICENSES_NAME,
        size_categories=[next((name for limit, name in _SIZES if facts.num_images < limit), "1M<n<10M")],
        task_categories=list(dataset.task_categories),
        annotations_creators=list(dataset.annotations_creators),
        source_datasets=list(dataset.source_datasets),
        tags=list(dataset.tags),
        digital_source_type=list(facts.digital_source_types),
        version=inputs.version,
        thumbnail=f"https://huggingface.co/datasets/{dataset.repository}/resolve/main/{next(iter(inputs.figures))}",
    )
    DatasetInfosDict({name: _info(name, inputs) for name in CONFIGS}).to_dataset_card_data(card)
    MetadataConfigs({name: _data_files(name, facts) for name in CONFIGS}).to_dataset_card_data(card)
    return card


def _info(config: str, inputs: CardInputs) -> DatasetInfo:
    splits = inputs.facts.splits[config]
    return DatasetInfo(
        features=features(CONFIGS[config].columns),
        splits=SplitDict(
            {
                name: SplitInfo(name, num_bytes=size.num_bytes, num_examples=size.num_rows)
                for name, size in splits.items()
            }
        ),
        download_size=sum(shard.num_bytes for shard in inputs.shards if shard.config == config),
        dataset_size=sum(size.num_bytes for size in splits.values()),
    )


def _data_files(config: str, facts: Facts) -> dict[str, Any]:
    folder = CONFIGS[config].folder
    files = [{"split": split, "path": f"{folder}/{split}-*.parquet"} for split in facts.splits[config]]
    return {"data_files": files} | ({"default": True} if config == "default" else {})


def _render(template: str, inputs: CardInputs) -> str:
    values = {name: getattr(inputs, name) for name in CardInputs.__slots__}
    generators = [GENERATORS[name] for name in GENERATORS if name in inputs.facts.generators]
    terms: dict[str, Terms] = {generator.terms.id: generator.terms for generator in generators}
    text = _TEMPLATES.get_template(template).render(
        **values,
        generators=generators,
        terms=terms,
        configs=CONFIGS,
        columns=list(flatten(CONFIGS["default"].columns)),
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _yaml_header(card: str) -> dict[str, Any]:
    """Parse the YAML between a card's first two `---` lines.

    Raises:
        ValueError: There is none, or it is not a mapping.
    """
    match = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    try:
        header = yaml.safe_load(match.group(1)) if match else None
    except yaml.YAMLError as error:
        raise ValueError(f"the header is not YAML: {error}") from error
    if not isinstance(header, dict):
        raise ValueError("the card has no YAML header")
    return header


def _cell(value: object) -> str:
    """Escape a value for a Markdown table."""
    return re.sub(r"([|<>\\`*_\[\]])", r"\\\1", " ".join(str(value).split()))


_TEMPLATES.filters.update(cell=_cell, size=decimal, number=lambda value: f"{value:,}")
