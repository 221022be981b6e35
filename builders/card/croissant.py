"""Croissant metadata (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html) with RAI 1.0.

The Hub writes a Croissant file of its own, but without version, checksums, citation or the
responsible-AI fields; so a release carries this one.

The file works alone: every address leads to the release's tag on the Hub, and never moves. What mlcroissant
1.1.1 reads decides how a record set names its files (`tests/builders/card/test_croissant.py`):

- One Parquet file: the `FileObject`. It comes over HTTP, and its SHA-256 is compared.
- More of them: a `FileSet` in the Hub's git repository, as in the Hub's own Croissant files. Git brings the
  tag without large files, then LFS each file when it is read. A `FileSet` in several `FileObject`s would load
  them all, and mlcroissant reads no columns from it ("Column does not exist").

In a folder, `mapping` names local files: `{REPOSITORY: folder}`, and `folder/ID` for each `FileObject`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from builders.card.facts import Facts
from builders.card.provenance import PROV, provenance
from builders.card.readme import CardInputs, describe_config
from schemas.columns import ColumnSpec
from schemas.configs import Config, Format
from schemas.manifest import Shard
from schemas.versions import tag_of

CROISSANT_NAME = "croissant.json"
REPOSITORY = "repository"  # @id of the git repository that sets of files are in
_HUB = "hub"  # name of the target whose addresses the file has
_MAX_LINE = 320
_CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
_TERMS = (
    "arrayShape citeAs column containedIn equivalentProperty extract field fileProperty fileObject fileSet "
    "format includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex "
    "repeated replace samplingRate separator source subField transform"
)
_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "prov": PROV,
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in _TERMS.split()},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
}


def render_croissant(inputs: CardInputs, citation: Mapping[str, Any], date: str | None) -> str:
    """Render croissant.json.

    Args:
        inputs: What the card says.
        citation: The maintainer's citation; its authors are the creators.
        date: Date of the release as YYYY-MM-DD, if known.
    """
    dataset, facts = inputs.dataset, inputs.facts
    # Croissant wants MAJOR.MINOR.PATCH.
    version = ".".join([*inputs.version.split("."), "0"][:3])
    files = {
        config.name: [shard for shard in inputs.shards if shard.config == config.name]
        for config in inputs.configs
    }
    metadata = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": dataset.name,
        "description": " ".join([*inputs.notices, dataset.summary]),
        "conformsTo": _CONFORMS_TO,
        "version": version,
        "datePublished": date,
        "license": sorted({inputs.generators[name].terms.url for name in facts.images.generators}),
        "url": _page(inputs),
        "citeAs": inputs.bibtex,
        "creator": [_creator(author) for author in citation["authors"]],
        "keywords": list(dataset.tags),
        "inLanguage": list(dataset.languages),
        "isLiveDataset": False,
        **provenance(inputs),
        "distribution": [*_distribution(inputs, files)],
        "recordSet": [_record_set(config, files[config.name], facts) for config in inputs.configs],
    }
    stated = {key: value for key, value in metadata.items() if value not in (None, "", [])}
    return _to_json(stated) + "\n"


def _page(inputs: CardInputs) -> str:
    """Return the address of the dataset on the Hub.

    It follows from the setting `repository` before anything is published, as the card's addresses do.
    """
    return f"https://huggingface.co/datasets/{inputs.dataset.repository}"


def _creator(author: Mapping[str, Any]) -> dict[str, str]:
    if "name" in author:
        return {"@type": "sc:Organization", "name": str(author["name"])}
    return {
        "@type": "sc:Person",
        "name": f"{author.get('given-names', '')} {author.get('family-names', '')}".strip(),
    }


def _distribution(inputs: CardInputs, files: Mapping[str, list[Shard]]) -> Iterator[dict[str, Any]]:
    """Yield each data file that the Hub is given, with its checksum, then the sets of files."""
    page, tag = _page(inputs), tag_of(inputs.version)
    formats = inputs.formats.get(_HUB, tuple(Format))  # of other formats the Hub has no file to lead to
    for shard in inputs.shards:
        if shard.format in formats:
            yield {
                "@type": "cr:FileObject",
                "@id": shard.path,
                "name": shard.path,
                "contentUrl": f"{page}/resolve/{tag}/{shard.path}",
                "contentSize": f"{shard.num_bytes} B",
                "encodingFormat": shard.format.media_type,
                "sha256": shard.sha256,
            }
    sets = [config for config in inputs.configs if len(files[config.name]) > 1]
    if sets:
        yield {
            "@type": "cr:FileObject",
            "@id": REPOSITORY,
            "name": REPOSITORY,
            "description": f"Git repository of the dataset at the tag {tag}.",
            # The form that mlcroissant takes a reference from. It cannot fetch an annotated tag.
            "contentUrl": f"{page}/tree/refs%2Ftags%2F{tag}",
            "encodingFormat": "git+https",
            # Croissant demands a checksum and has none for repositories; the Hub writes this address, too.
            "sha256": "https://github.com/mlcommons/croissant/issues/80",
        }
    for config in sets:
        yield {
            "@type": "cr:FileSet",
            "@id": f"{config.name}-files",
            "name": f"{config.name}-files",
            "containedIn": {"@id": REPOSITORY},
            "encodingFormat": config.format.media_type,
            "includes": f"{config.folder}/*.{config.extension}",
        }


def _record_set(config: Config, files: list[Shard], facts: Facts) -> dict[str, Any]:
    origin = (
        {"fileObject": {"@id": files[0].path}}
        if len(files) == 1
        else {"fileSet": {"@id": f"{config.name}-files"}}
    )
    return {
        "@type": "cr:RecordSet",
        "@id": config.name,
        "name": config.name,
        "description": describe_config(config, facts),
        "key": _key(config),
        "field": [_field(column, config.name, origin, ()) for column in config.columns],
    }


def _key(config: Config) -> Any:
    """Name the columns that together name a record."""
    keys = [{"@id": f"{config.name}/{name}"} for name in config.key]
    return keys[0] if len(keys) == 1 else keys


def _field(
    column: ColumnSpec, parent: str, origin: Mapping[str, Any], path: tuple[str, ...]
) -> dict[str, Any]:
    """Describe a column, and those in it; its `@id`, which is also its key in a record, is name enough."""
    identifier = f"{parent}/{column.name}"
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": identifier,
        "description": f"{column.description} Unit: {column.unit}." if column.unit else column.description,
    }
    source: dict[str, Any] = {**origin, "extract": {"column": (*path, column.name)[0]}}
    if column.image:
        source["transform"] = {"jsonPath": "bytes"}
        return field | {"dataType": "sc:ImageObject", "source": source}
    is_vector = pa.types.is_fixed_size_list(column.arrow)
    is_list = is_vector or pa.types.is_list(column.arrow)
    if is_list:
        field |= {"isArray": True, "arrayShape": str(column.arrow.list_size) if is_vector else "-1"}
    if column.children:
        children = [_field(child, identifier, origin, (*path, column.name)) for child in column.children]
        return field | {"subField": children}
    if path:
        source["transform"] = {"jsonPath": column.name}
    item = column.arrow.value_type if is_list else column.arrow
    return field | {"dataType": _data_type(item), "source": source}


def _data_type(arrow: pa.DataType) -> str:
    """Name the type of a value.

    mlcroissant 1.1.1 makes `bytes` of sc:Text and of sc:URL, in UTF-8, whatever the file holds
    (`EXPECTED_DATA_TYPES` in its `data_types.py`), and has no type for which it makes `str`.
    """
    if pa.types.is_integer(arrow):
        return "sc:Integer"
    if pa.types.is_floating(arrow):
        return "sc:Float"
    return "sc:Boolean" if pa.types.is_boolean(arrow) else "sc:Text"


def _to_json(value: Any, depth: int = 0) -> str:
    """Write JSON with one line for each field or other value that fits: a third shorter than indent=2."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or depth + len(line) <= _MAX_LINE or not value:
        return line
    pad, end = " " * (depth + 1), " " * depth
    if isinstance(value, list):
        items: Iterable[str] = (_to_json(each, depth + 1) for each in value)
        return "[\n" + ",\n".join(f"{pad}{item}" for item in items) + f"\n{end}]"
    items = (f"{json.dumps(key)}: {_to_json(each, depth + 1)}" for key, each in value.items())
    return "{\n" + ",\n".join(f"{pad}{item}" for item in items) + f"\n{end}}}"
