"""Facts about the captions and attributes of a release."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from builders.card.facts.counting import quantiles, ranked
from builders.release.reader import ReleaseReader
from schemas.attributes import is_personal

_COLUMNS = ("image_id", "caption", "captioner", "captioner_version", "language", "source", "attributes")


@dataclass(frozen=True, slots=True)
class CaptionerSummary:
    """Numbers about the captions of one captioner; its words per caption are least, quartiles, most."""

    captioner: str | None
    version: str | None
    num_captions: int
    num_images: int
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AttributeSummary:
    """Numbers about one attribute: images that have it, its values, and whether it is personal."""

    name: str
    num_images: int
    num_values: int
    values: Mapping[str, int]
    is_personal: bool


@dataclass(frozen=True, slots=True)
class CaptionSummary:
    """Numbers about the captions.

    Attributes:
        total: Rows, with or without a sentence.
        num_sentences: Rows with a sentence.
        num_images: Images that any row speaks of.
        captioners: Each captioner with sentences, the busiest first.
        languages: Language → rows; None where the source does not say.
        sources: Source → rows.
        attributes: Each attribute, the most frequent first.
        models: The models that inferred them, by name.
    """

    total: int
    num_sentences: int
    num_images: int
    captioners: tuple[CaptionerSummary, ...]
    languages: Mapping[str | None, int]
    sources: Mapping[str, int]
    attributes: tuple[AttributeSummary, ...]
    models: tuple[str, ...]


def read_caption_facts(release: ReleaseReader) -> CaptionSummary:
    """Read the facts from the table of captions, whose rows are in the order of their images."""
    words: dict[tuple[str | None, str | None], Counter[int]] = {}
    images: Counter[object] = Counter()  # captioner, attribute or "" → images that have it
    values: dict[str, Counter[str]] = {}
    languages: Counter[str | None] = Counter()
    sources: Counter[str] = Counter()
    models = set[str | None]()
    image, seen = None, set[object]()
    for group in release.row_groups("captions", _COLUMNS):
        for row in group.to_pylist():
            if row["image_id"] != image:
                image = row["image_id"]
                images.update(seen)
                seen = {""}
            captioner = (row["captioner"], row["captioner_version"])
            if row["caption"] is not None:
                words.setdefault(captioner, Counter())[len(row["caption"].split())] += 1
                seen.add(captioner)
            for attribute in row["attributes"]:
                models.add(attribute["source_model"])
                values.setdefault(attribute["attribute"], Counter())[attribute["value"]] += 1
                seen.add(attribute["attribute"])
            languages[row["language"]] += 1
            sources[row["source"]] += 1
    images.update(seen)
    captioners = [
        CaptionerSummary(*captioner, counter.total(), images[captioner], quantiles(counter))
        for captioner, counter in words.items()
    ]
    return CaptionSummary(
        total=sources.total(),
        num_sentences=sum(one.num_captions for one in captioners),
        num_images=images[""],
        captioners=tuple(
            sorted(captioners, key=lambda one: (-one.num_captions, one.captioner or "", one.version or ""))
        ),
        languages=dict(sorted(languages.items(), key=lambda item: (-item[1], item[0] or ""))),
        sources=ranked(sources),
        attributes=tuple(_attribute_facts(values, images)),
        models=tuple(sorted(filter(None, models))),
    )


def _attribute_facts(values: Mapping[str, Counter[str]], images: Counter[object]) -> list[AttributeSummary]:
    facts = []
    for name, counter in values.items():
        facts.append(AttributeSummary(name, images[name], len(counter), ranked(counter), is_personal(name)))
    return sorted(facts, key=lambda one: (-one.num_images, one.name))
