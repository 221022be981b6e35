"""Croissant metadata (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html) with RAI 1.0.

The Hub writes a Croissant file of its own, but without version, checksums, citation or the
responsible-AI fields; so a release carries this one.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from builders.card.readme import CardInputs
from schemas.columns import ColumnSpec
from schemas.configs import Config
from schemas.generators import GENERATORS

CROISSANT_NAME = "croissant.json"
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
    metadata = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": dataset.name,
        "description": " ".join([*inputs.notices, dataset.summary]),
        "conformsTo": _CONFORMS_TO,
        "version": version,
        "datePublished": date,
        "license": sorted({GENERATORS[name].terms.url for name in facts.images.generators}),
        "url": f"https://huggingface.co/datasets/{dataset.repository}",
        "citeAs": inputs.bibtex,
        "creator": [_creator(author) for author in citation["authors"]],
        "keywords": list(dataset.tags),
        "inLanguage": list(dataset.languages),
        "isLiveDataset": False,
        "rai:dataCollection": dataset.description or dataset.summary,
        "rai:dataCollectionType": ["Software Collection"],
        "rai:dataBiases": dataset.limitations,
        "rai:dataLimitations": dataset.limitations,
        "rai:personalSensitiveInformation": "None: every image is synthetic and shows nobody who exists.",
        "distribution": [*_distribution(inputs)],
        "recordSet": [_record_set(config) for config in inputs.configs],
    }
    stated = {key: value for key, value in metadata.items() if value not in (None, "", [])}
    return json.dumps(stated, indent=2, ensure_ascii=False) + "\n"


def _creator(author: Mapping[str, Any]) -> dict[str, str]:
    if "name" in author:
        return {"@type": "sc:Organization", "name": str(author["name"])}
    return {
        "@type": "sc:Person",
        "name": f"{author.get('given-names', '')} {author.get('family-names', '')}".strip(),
    }


def _distribution(inputs: CardInputs) -> Iterable[dict[str, Any]]:
    """List every data file with its checksum, and the set of files of each config."""
    for shard in inputs.shards:
        yield {
            "@type": "cr:FileObject",
            "@id": shard.path,
            "name": shard.path,
            "contentUrl": shard.path,
            "contentSize": f"{shard.num_bytes} B",
            "encodingFormat": shard.format.media_type,
            "sha256": shard.sha256,
        }
    for config in inputs.configs:
        yield {
            "@type": "cr:FileSet",
            "@id": f"{config.name}-files",
            "name": f"{config.name}-files",
            "encodingFormat": config.format.media_type,
            "includes": f"{config.folder}/*.{config.extension}",
        }


def _record_set(config: Config) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": config.name,
        "name": config.name,
        "description": config.description,
        "key": _key(config),
        "field": [_field(column, config.name, config, ()) for column in config.columns],
    }


def _key(config: Config) -> Any:
    """Name the columns that together name a record."""
    keys = [{"@id": f"{config.name}/{name}"} for name in config.key]
    return keys[0] if len(keys) == 1 else keys


def _field(column: ColumnSpec, parent: str, config: Config, path: tuple[str, ...]) -> dict[str, Any]:
    identifier = f"{parent}/{column.name}"
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": identifier,
        "name": identifier,
        "description": f"{column.description} Unit: {column.unit}." if column.unit else column.description,
    }
    source: dict[str, Any] = {
        "fileSet": {"@id": f"{config.name}-files"},
        "extract": {"column": (*path, column.name)[0]},
    }
    if column.image:
        source["transform"] = {"jsonPath": "bytes"}
        return field | {"dataType": "sc:ImageObject", "source": source}
    is_vector = pa.types.is_fixed_size_list(column.arrow)
    is_list = is_vector or pa.types.is_list(column.arrow)
    if is_list:
        field |= {"isArray": True, "arrayShape": str(column.arrow.list_size) if is_vector else "-1"}
    if column.children:
        children = [_field(child, identifier, config, (*path, column.name)) for child in column.children]
        return field | {"subField": children}
    if path:
        source["transform"] = {"jsonPath": column.name}
    item = column.arrow.value_type if is_list else column.arrow
    return field | {"dataType": _data_type(item), "source": source}


def _data_type(arrow: pa.DataType) -> str:
    if pa.types.is_integer(arrow):
        return "sc:Integer"
    if pa.types.is_floating(arrow):
        return "sc:Float"
    return "sc:Boolean" if pa.types.is_boolean(arrow) else "sc:Text"
