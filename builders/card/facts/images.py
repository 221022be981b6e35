"""Facts about the images of a release."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from builders.card.facts.counting import quantiles, ranked
from builders.release.reader import ReleaseReader

_COUNTED = ("generator", "source", "license", "format", "digital_source_type")
_KNOWN_OR_NULL = ("original_prompt", "settings")


@dataclass(frozen=True, slots=True)
class ImageSummary:
    """Numbers about the images.

    Attributes:
        total: How many there are.
        num_bytes: Sum of the image files' sizes.
        generators: Generator → images.
        sources: Source → images.
        licenses: Terms → images.
        formats: Real format → images.
        digital_source_types: IPTC term → images.
        sizes: (width, height) in px → images.
        num_prompts: Images with a prompt.
        num_originals: Images whose prompt the provider revised, with the text before.
        num_settings: Images whose settings are known.
        prompt_words: Words per prompt: least, lower quartile, median, upper quartile, most.
        prompt_lengths: Words → prompts that have so many.
        num_captioned: Images with a caption.
        num_shared: Images that came from more than one place.
    """

    total: int
    num_bytes: int
    generators: Mapping[str, int]
    sources: Mapping[str, int]
    licenses: Mapping[str, int]
    formats: Mapping[str, int]
    digital_source_types: Mapping[str, int]
    sizes: Mapping[tuple[int, int], int]
    num_prompts: int
    num_originals: int
    num_settings: int
    prompt_words: tuple[int, ...]
    prompt_lengths: Mapping[int, int]
    num_captioned: int
    num_shared: int


def read_image_facts(release: ReleaseReader) -> ImageSummary:
    """Read the facts from the image-free table."""
    counters: dict[str, Counter[object]] = {name: Counter() for name in (*_COUNTED, "size")}
    words: Counter[int] = Counter()
    total = num_bytes = num_captioned = num_shared = num_originals = num_settings = 0
    columns = [*_COUNTED, "width", "height", "num_bytes", "prompt", "captions", "other_origins"]
    for group in release.row_groups("prompts", [*columns, *_KNOWN_OR_NULL]):
        batch = group.select(columns).to_pydict()
        for name in _COUNTED:
            counters[name].update(batch[name])
        counters["size"].update(zip(batch["width"], batch["height"], strict=True))
        words.update(len(prompt.split()) for prompt in batch["prompt"] if prompt is not None)
        total += group.num_rows
        num_originals += group.num_rows - group["original_prompt"].null_count
        num_settings += group.num_rows - group["settings"].null_count
        num_bytes += sum(batch["num_bytes"])
        num_captioned += sum(map(bool, batch["captions"]))
        num_shared += sum(map(bool, batch["other_origins"]))
    return ImageSummary(
        total=total,
        num_bytes=num_bytes,
        generators=ranked(counters["generator"]),
        sources=ranked(counters["source"]),
        licenses=ranked(counters["license"]),
        formats=ranked(counters["format"]),
        digital_source_types=ranked(counters["digital_source_type"]),
        sizes=ranked(counters["size"]),
        num_prompts=words.total(),
        num_originals=num_originals,
        num_settings=num_settings,
        prompt_words=quantiles(words),
        prompt_lengths=dict(sorted(words.items())),
        num_captioned=num_captioned,
        num_shared=num_shared,
    )
