"""The card of an export: its README.md and LICENSES.md, with numbers read back from its files."""

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from datasets import DatasetInfo, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData

from builders.card.facts.counting import ranked
from builders.card.readme import LICENSE_NAME, LICENSES_NAME, render_template
from builders.release.exports import DATA_FOLDER, EXPORT_CONFIG, ORIGINS, Export, export_columns
from builders.release.reader import ReleaseReader
from builders.release.trainers import PROMPT_SOURCE, ExportOptions, Layout, Option, TextChoice
from schemas import KIT_VERSION
from schemas.columns import features, flatten
from schemas.generators import Generator, terms_by_model
from schemas.manifest import SplitCounts
from schemas.settings import DatasetSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ExportSource:
    """The release that an export is made from.

    Attributes:
        dataset: The maintainer's description of the dataset.
        version: Version of the release.
        manifest_sha256: Digest of its manifest.
        notices: What its sources demand to be said first.
        bibtex: Its citations.
        digital_source_types: IPTC terms of its images.
        generators: The generators that it may have, by name.
    """

    dataset: DatasetSettings
    version: str
    manifest_sha256: str
    notices: tuple[str, ...]
    bibtex: str
    digital_source_types: tuple[str, ...]
    generators: Mapping[str, Generator]


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """Numbers about an export; an image of several pairs counts once for each.

    Attributes:
        splits: Split → its size.
        models: (model, id of its terms) → images; None where the release does not know.
        text_sources: Where texts come from → rows; empty where the layout has no such column.
        terms: Other things with terms → id of the terms → rows; None where none are stated.
    """

    splits: Mapping[str, SplitCounts]
    models: Mapping[tuple[str | None, str | None], int]
    text_sources: Mapping[str, int]
    terms: Mapping[str, Mapping[str | None, int]]

    @property
    def num_rows(self) -> int:
        """Rows of all splits."""
        return sum(size.num_rows for size in self.splits.values())


def read_export_facts(folder: Path, layout: Layout, export: Export) -> ExportFacts:
    """Read the numbers from an export's files, one row group at a time and without its images."""
    reader = ReleaseReader(folder, export.shards)
    origin = ORIGINS[layout.config]
    has_texts = "text_source" in layout.row.model_fields
    columns = [*(name for pair in origin.images for name in pair), *origin.terms.values()]
    models, texts = Counter[tuple[str | None, str | None]](), Counter[str]()
    terms: dict[str, Counter[str | None]] = {name: Counter() for name in origin.terms}
    for group in reader.row_groups(EXPORT_CONFIG, [*columns, *(["text_source"] if has_texts else [])]):
        batch = group.to_pydict()
        for model, license_id in origin.images:
            models.update(zip(batch[model], batch[license_id], strict=True))
        texts.update(batch["text_source"] if has_texts else ())
        for name, column in origin.terms.items():
            terms[name].update(batch[column])
    return ExportFacts(
        splits=reader.splits()[EXPORT_CONFIG],
        models=_ordered(models),
        text_sources=ranked(texts),
        terms={name: _ordered(counts) for name, counts in terms.items()},
    )


def render_export(
    name: str,
    layout: Layout,
    options: ExportOptions,
    source: ExportSource,
    export: Export,
    facts: ExportFacts,
) -> Mapping[str, str]:
    """Render the texts of an export.

    Args:
        name: Name of the layout.
        layout: The layout.
        options: What the user chose.
        source: The release.
        export: What was written.
        facts: What `read_export_facts` reads of it.

    Returns:
        Name of the file → its text: README.md, with the Hub's YAML header, and LICENSES.md.
    """
    columns, counts = export_columns(layout), _license_counts(facts)
    known = {terms.id: terms for terms in terms_by_model(source.generators).values()}
    values = {
        "name": name,
        "layout": layout,
        "options": options,
        "source": source,
        "dataset": source.dataset,
        "notices": source.notices,
        "left_out": export.left_out,
        "facts": facts,
        "flags": _flags(layout, options),
        "columns": list(flatten(columns)),
        "titles": {name: generator.title for name, generator in source.generators.items()},
        "terms": [known[each] for each in counts if each is not None and each in known],
        "unknown": [each for each in counts if each not in known],
        "counts": counts,
        "models_of": _models_by_license(facts),
        "unit": "images" if len(ORIGINS[layout.config].images) == 1 else "images of pairs",
        "has_captions": any(each != PROMPT_SOURCE for each in facts.text_sources),
        "kit_version": KIT_VERSION,
        "takes_size": Option.SIZE in layout.takes,
    }
    header = _header(name, layout, source, export, facts).to_yaml().strip()
    return {
        "README.md": f"---\n{header}\n---\n\n{render_template('export.md.j2', **values)}",
        LICENSES_NAME: render_template("export_licenses.md.j2", **values),
    }


def _header(
    name: str, layout: Layout, source: ExportSource, export: Export, facts: ExportFacts
) -> DatasetCardData:
    """Return the YAML header: what the export is, its columns, and which files each split has."""
    dataset = source.dataset
    card = DatasetCardData(
        pretty_name=f"{dataset.title} {source.version}, {name}",
        language=list(dataset.languages),
        license="other",
        license_name=LICENSE_NAME,
        license_link=LICENSES_NAME,
        task_categories=["text-to-image"],
        annotations_creators=list(dataset.annotations_creators),
        source_datasets=[dataset.repository],
        tags=list(dataset.tags),
        digital_source_type=list(source.digital_source_types),
    )
    download_size = sum(shard.num_bytes for shard in export.shards)
    splits = {
        name: SplitInfo(name, num_bytes=size.num_bytes, num_examples=size.num_rows)
        for name, size in facts.splits.items()
    }
    info = DatasetInfo(
        features=features(export_columns(layout)),
        splits=SplitDict(splits),
        download_size=download_size,
        dataset_size=sum(size.num_bytes for size in facts.splits.values()),
    )
    DatasetInfosDict({EXPORT_CONFIG: info}).to_dataset_card_data(card)
    files = [{"split": split, "path": f"{DATA_FOLDER}/{split}-*.parquet"} for split in facts.splits]
    MetadataConfigs({EXPORT_CONFIG: {"data_files": files}}).to_dataset_card_data(card)
    return card


def _flags(layout: Layout, options: ExportOptions) -> str:
    """Write the flags that the export was made with, after `--layout`."""
    chosen = {
        Option.TEXT: options.text.value,
        Option.CAPTIONER: options.captioner,
        Option.SIZE: options.size_px,
    }
    given = {flag: value for flag, value in chosen.items() if flag in layout.takes and value is not None}
    if options.text is TextChoice.PROMPT:
        given.pop(Option.CAPTIONER, None)
    return " ".join(f"{flag} {shlex.quote(str(value))}" for flag, value in given.items())


def _license_counts(facts: ExportFacts) -> dict[str | None, int]:
    """Count the images by their terms, the most first and the unknown last."""
    counts = Counter[str | None]()
    for (_, license_id), count in facts.models.items():
        counts[license_id] += count
    return _ordered(counts)


def _models_by_license(facts: ExportFacts) -> dict[str | None, dict[str | None, int]]:
    """Return id of the terms → model → images."""
    found: dict[str | None, dict[str | None, int]] = {}
    for (model, license_id), count in facts.models.items():
        found.setdefault(license_id, {})[model] = count
    return found


def _ordered(counts: Counter[T]) -> dict[T, int]:
    """Order by count, then by name, None last, so that equal data give equal text."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], str(item[0]))))
