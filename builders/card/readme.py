"""The dataset card: README.md and LICENSES.md, rendered from facts read back from the written files."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import jinja2
import pyarrow as pa
import yaml
from rich.filesize import decimal

from builders.annotator_marks import Estimate, proportion
from builders.card.agreement_numbers import (
    MAX_COMPARISONS,
    read_agreement_numbers,
    shown_comparisons,
    true_agreement_numbers,
    widest_grouping,
)
from builders.card.facts import CaptionerSummary, Facts
from builders.card.facts.fairness import MIN_IMAGES
from builders.card.facts.generation import MIN_REQUESTS
from builders.card.known_errors import known_errors
from builders.card.request_numbers import (
    MAX_GROUPS,
    MAX_VALUES,
    code,
    percent_of,
    read_request_numbers,
    true_request_numbers,
)
from builders.images.hashes import HASH_BITS
from builders.preferences.votes import RULES
from schemas.columns import ColumnSpec, flatten
from schemas.configs import Config, Format, Table, configs_with
from schemas.features import DEMO_NOTICE, Provenance
from schemas.generators import Generator, Terms, terms_by_model
from schemas.manifest import Changes, Counts, PreviousEntry, Shard
from schemas.problems import Reason
from schemas.settings import DatasetSettings, DuplicateSettings, PreferenceSettings

if TYPE_CHECKING:
    from huggingface_hub import DatasetCardData

CARD_NAME = "README.md"
LICENSES_NAME = "LICENSES.md"
COLUMNS_NAME = "COLUMNS.md"
LICENSE_NAME = "per-image-terms"
MAX_ATTRIBUTES_SHOWN = 50

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_SIMILARITIES = r"^\| `([^`]+)` \| ([\d,]+) \| (-?[\d.]+) \| (-?[\d.]+) \| (-?[\d.]+) \|"
_ALIKE = tuple(
    f"near-duplicates {name}"
    for name in (
        "images like another",
        "groups",
        "images to leave out, to keep one of each group",
        "images in the largest group",
    )
)
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("builders.card"),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - Markdown, not HTML; values from data pass through the `cell` filter
)
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CardInputs:
    """Everything that a card says.

    Attributes:
        dataset: What the maintainer says.
        version: The dataset's version.
        facts: What the files say.
        shards: The data files.
        voting: How votes were counted and annotators named.
        counts: Where the input rows went, by table.
        notices: What the sources demand to be said first.
        bibtex: The citations.
        changes: The changelog's entry for this version; may be empty.
        previous: The release that this one follows, if any.
        differences: What differs from it.
        formats: Target → the formats that it is given.
        features: Config of features → the encoder that made it.
        limits: When images are near-duplicates; None where they are not looked for.
        generators: The generators that it may have, by name, in the order in which they are shown.
        figures: Path of each figure in the release → what it shows.
        dropped_columns: Columns of sources that the maintainer leaves out for privacy.
    """

    dataset: DatasetSettings
    version: str
    facts: Facts
    shards: tuple[Shard, ...]
    voting: PreferenceSettings
    counts: Mapping[Table, Counts]
    notices: tuple[str, ...]
    bibtex: str
    changes: str
    previous: PreviousEntry | None
    differences: Changes | None
    formats: Mapping[str, tuple[Format, ...]]
    features: Mapping[str, Provenance]
    limits: DuplicateSettings | None
    generators: Mapping[str, Generator]
    figures: Mapping[str, str]
    dropped_columns: tuple[str, ...] = ()

    @property
    def configs(self) -> tuple[Config, ...]:
        """The configs that the release has."""
        configs = configs_with(self.features)
        return tuple(config for name, config in configs.items() if name in self.facts.splits)


def render_card(inputs: CardInputs) -> str:
    """Render README.md: the Hub's YAML header, then the card for people."""
    text = _render("README.md.j2", inputs)
    # A figure that no section of the card shows is shown in a section of its own.
    more = {path: caption for path, caption in inputs.figures.items() if f"]({path})" not in text}
    if more:
        text = _render("README.md.j2", inputs, more)
    return f"---\n{_metadata(inputs).to_yaml().strip()}\n---\n\n{text}"


def render_licenses(inputs: CardInputs) -> str:
    """Render LICENSES.md: what binds the images of each generator, and the preference data."""
    return _render("LICENSES.md.j2", inputs)


def render_columns(inputs: CardInputs) -> str:
    """Render COLUMNS.md: type, unit and meaning of every column of every config."""
    return _render("COLUMNS.md.j2", inputs)


def read_numbers(card: str) -> dict[str, float]:
    """Read a card's numbers back: rows of each config and split, and the rows of its marked tables.

    Args:
        card: Text of README.md.

    Returns:
        Numbers by name, such as `default/train` and `generator SDXL`; the counterpart of `true_numbers`.
    """
    numbers: dict[str, float] = {
        f"{info['config_name']}/{split['name']}": int(split["num_examples"])
        for info in _yaml_header(card).get("dataset_info", [])
        for split in info["splits"]
    }
    for kind in ("generator", "captioner", "attribute", "decision", "model"):
        table = re.search(rf"<!-- {kind}s -->(.*?)<!-- /{kind}s -->", card, re.DOTALL)
        for name, count in re.findall(
            r"^\| `([^`]+)` \|[^|]*\| ([\d,]+) \|", table.group(1) if table else "", re.MULTILINE
        ):
            numbers[f"{kind} {name}"] = int(count.replace(",", ""))
    return numbers | _read_feature_numbers(card) | read_request_numbers(card) | read_agreement_numbers(card)


def true_numbers(facts: Facts) -> dict[str, float]:
    """Return the numbers that a card must state, under the names of `read_numbers`."""
    numbers: dict[str, float] = {
        f"{config}/{split}": size.num_rows
        for config, splits in facts.splits.items()
        for split, size in splits.items()
    }
    numbers |= {f"generator {name}": count for name, count in facts.images.generators.items()}
    if facts.captions is not None:
        captions = facts.captions
        numbers |= {f"captioner {code(_captioner(one))}": one.num_captions for one in captions.captioners}
        shown = captions.attributes[:MAX_ATTRIBUTES_SHOWN]
        numbers |= {f"attribute {code(one.name)}": one.num_images for one in shown}
    if facts.preferences is not None:
        numbers |= {f"decision {name}": count for name, count in facts.preferences.decisions.items()}
        numbers |= {f"model {code(rate.model)}": rate.wins.total for rate in facts.preferences.models}
    if facts.generation is not None:
        numbers |= true_request_numbers(facts.generation)
    if facts.fairness is not None:
        numbers |= true_agreement_numbers(facts.fairness)
    for one in facts.features:
        for kind, groups in (("prompts", one.prompts), ("captions", one.captions)):
            for group in groups:
                name = f"{kind} of {one.config} {code(group.group or '')}"
                percentiles = (float(f"{value:.3f}") for value in (group.p5, group.p50, group.p95))
                numbers |= _named(name, (group.count, *percentiles))
    if (found := facts.near_duplicates) is not None and found.num_groups:
        counts = (found.num_images, found.num_groups, found.num_surplus, found.largest)
        numbers |= dict(zip(_ALIKE, counts, strict=True))
        numbers |= {f"near-duplicates images found by {kind}": count for kind, count in found.kinds.items()}
    return numbers


def _read_feature_numbers(card: str) -> dict[str, float]:
    """Read back the tables of similarities and of near-duplicates."""
    numbers: dict[str, float] = {}
    tables = re.findall(r"<!-- ((?:prompts|captions) of \S+) -->\n(.*?)<!-- /", card, re.DOTALL)
    for title, table in tables:
        for name, count, *values in re.findall(_SIMILARITIES, table, re.MULTILINE):
            read = (int(count.replace(",", "")), *map(float, values))
            numbers |= _named(f"{title} {name}", read)
    alike = re.search(r"<!-- near-duplicates -->(.*?)<!-- /near-duplicates -->", card, re.DOTALL)
    for name, count in re.findall(
        r"^\| `([^`]+)` \| ([\d,]+) \|", alike.group(1) if alike else "", re.MULTILINE
    ):
        numbers[f"near-duplicates {name}"] = int(count.replace(",", ""))
    return numbers


def _named(name: str, values: Iterable[float]) -> dict[str, float]:
    """Name the numbers of a line of similarities."""
    heads = ("texts", "5th percentile", "median", "95th percentile")
    return {f"{name}, {head}": value for head, value in zip(heads, values, strict=True)}


def describe_config(config: Config, facts: Facts) -> str:
    """Say what a config holds, without columns of `default` and `captions` that are empty in every row."""
    if config.name == "default":
        images = facts.images
        named = {
            "prompt": images.num_prompts,
            "captions": images.num_captioned,
            "generator": images.total,
            "settings": images.num_settings,
        }
        return f"Every image with its {_join(name for name, count in named.items() if count)}."
    if config.name == "captions" and facts.captions is not None:
        is_named = any(one.captioner for one in facts.captions.captioners)
        known = {"captioner": is_named, "attributes": bool(facts.captions.attributes)}
        names = [name for name, is_known in known.items() if is_known]
        return f"Every caption{f' with its {_join(names)}' if names else ''}, by `image_id`."
    return config.description


def _join(names: Iterable[str]) -> str:
    """Write a list: one, two and three."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _metadata(inputs: CardInputs) -> "DatasetCardData":
    from huggingface_hub import DatasetCardData  # noqa: PLC0415 - plans write no card

    dataset, facts = inputs.dataset, inputs.facts
    card = DatasetCardData(
        pretty_name=dataset.title,
        language=list(dataset.languages),
        license="other",
        license_name=LICENSE_NAME,
        license_link=LICENSES_NAME,
        size_categories=[next((name for limit, name in _SIZES if facts.images.total < limit), "1M<n<10M")],
        task_categories=list(dataset.task_categories),
        annotations_creators=list(dataset.annotations_creators),
        source_datasets=list(dataset.source_datasets),
        tags=list(dataset.tags),
        digital_source_type=list(facts.images.digital_source_types),
        version=inputs.version,
        thumbnail=f"https://huggingface.co/datasets/{dataset.repository}/resolve/main/{next(iter(inputs.figures))}",
    )
    sizes = _sizes(inputs.shards)
    configs = sorted(inputs.configs, key=lambda config: config.name)  # the order in which `datasets` has them
    card["dataset_info"] = [_dataset_info(each, facts, sizes[each.name]) for each in configs]
    card["configs"] = [{"config_name": each.name, **_data_files(each, facts)} for each in configs]
    return card


# `datasets.DatasetInfo` writes the same, and takes 1.8 CPU seconds to import. The columns of a config are not
# listed, as every Parquet file has them in its schema.
def _dataset_info(config: Config, facts: Facts, download_size: int) -> dict[str, Any]:
    """Return what a card's header states of one config, `download_size` bytes of files."""
    splits = facts.splits[config.name]
    return {
        "config_name": config.name,
        "splits": [
            {"name": name, "num_bytes": size.num_bytes, "num_examples": size.num_rows}
            for name, size in splits.items()
        ],
        "download_size": download_size,
        "dataset_size": sum(size.num_bytes for size in splits.values()),
    }


def _data_files(config: Config, facts: Facts) -> dict[str, Any]:
    splits = facts.splits[config.name]
    files = [{"split": split, "path": f"{config.folder}/{split}-*.{config.extension}"} for split in splits]
    return {"data_files": files} | ({"default": True} if config.name == "default" else {})


def _render(template: str, inputs: CardInputs, more_figures: Mapping[str, str] = _NONE) -> str:
    values = {name: getattr(inputs, name) for name in CardInputs.__slots__}
    used = inputs.facts.images.generators
    generators = [generator for name, generator in inputs.generators.items() if name in used]
    terms: dict[str, Terms] = {generator.terms.id: generator.terms for generator in generators}
    preferences = inputs.facts.preferences
    models = [rate.model for rate in preferences.models] if preferences else []
    known = terms_by_model(inputs.generators)
    changed = inputs.differences.changed_rows if inputs.differences is not None else {}
    facts = _order_groups(inputs.facts, inputs.generators)
    values |= {"generators": generators, "terms": terms, "facts": facts, "changed_rows": changed}
    return render_template(
        template,
        **values,
        configs=inputs.configs,
        hub=f"hf://datasets/{inputs.dataset.repository}",
        copies=_copies(inputs),
        sizes=_sizes(inputs.shards),
        flatten=flatten,
        excluded=inputs.counts[Table.IMAGES].rejected.get(Reason.EXCLUDED, 0),
        more_figures=more_figures,
        demo_notice=DEMO_NOTICE,
        hash_bits=HASH_BITS,
        rule=RULES[inputs.voting.rule],
        model_terms={model: known[model] for model in models if model in known and model not in used},
    )


def _order_groups(facts: Facts, generators: Iterable[str]) -> Facts:
    """Put the similarities of prompts in the order of generators that the rest of the card has."""
    places = {name: place for place, name in enumerate(generators)}
    features = (
        replace(one, prompts=tuple(sorted(one.prompts, key=lambda each: places[each.group or ""])))
        for one in facts.features
    )
    return replace(facts, features=tuple(features))


def render_template(template: str, **values: object) -> str:
    """Render a template of this room, without the runs of empty lines that its blocks leave."""
    text = _TEMPLATES.get_template(template).render(values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _copies(inputs: CardInputs) -> Mapping[Format, Sequence[str]]:
    """Return each format besides Parquet that the release has, with the targets that are not given it."""
    there = {shard.format for shard in inputs.shards} - {Format.PARQUET}
    return {
        each: [name for name, formats in inputs.formats.items() if each not in formats]
        for each in Format
        if each in there
    }


def _sizes(shards: Iterable[Shard]) -> Mapping[str, int]:
    """Return config → bytes of its data files; a format besides Parquet is a config of its own."""
    sizes = Counter[str]()
    for shard in shards:
        sizes[shard.config] += shard.num_bytes
    return sizes


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


def _link(address: str) -> str:
    """Turn an address into a link, unless it has other text."""
    return f"<{address}>" if re.fullmatch(r"(https?://|mailto:)[^\s<>|]+", address) else _cell(address)


def _quote(text: str) -> str:
    """Turn Markdown into a block quote."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def _captioner(one: CaptionerSummary) -> str:
    """Name a captioner with its version."""
    return " ".join(filter(None, (one.captioner or "not stated", one.version)))


def _percent(estimate: Estimate) -> str:
    """Write a rate with its interval: 64 % (52 to 75 %)."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "—"
    return f"{100 * estimate.value:.0f} % ({100 * estimate.low:.0f} to {100 * estimate.high:.0f} %)"


def _decimal(estimate: Estimate) -> str:
    """Write a number with its interval: 0.64 (0.52 to 0.75)."""
    if estimate.value is None:
        return "undefined"
    interval = f" ({estimate.low:.2f} to {estimate.high:.2f})" if estimate.low is not None else ""
    return f"{round(estimate.value, 2) + 0.0:.2f}{interval}"  # never -0.00


def _type_name(column: ColumnSpec) -> str:
    """Name a column's type for people."""
    if column.image:
        return "image"
    kind = column.arrow
    if pa.types.is_list(kind):
        return "list of structs" if column.children else f"list of {kind.value_type}"
    if pa.types.is_fixed_size_list(kind):
        return f"list of {kind.list_size} {kind.value_type}"
    return "struct" if column.children else str(kind)


_TEMPLATES.filters.update(
    type_name=_type_name,
    cell=_cell,
    code=code,
    captioner=_captioner,
    contents=describe_config,
    link=_link,
    percent=_percent,
    decimal=_decimal,
    quote=_quote,
    rate=lambda counts: f"{percent_of(*counts):.1f}",
    comparisons=shown_comparisons,
    known_errors=known_errors,
    widest=widest_grouping,
    share=lambda counts: _percent(proportion(*counts)),
    size=decimal,
    number=lambda value: f"{value:,}",
)
_TEMPLATES.globals |= {
    "max_attributes": MAX_ATTRIBUTES_SHOWN,
    "max_comparisons": MAX_COMPARISONS,
    "max_groups": MAX_GROUPS,
    "max_values": MAX_VALUES,
    "min_images": MIN_IMAGES,
    "min_requests": MIN_REQUESTS,
}
