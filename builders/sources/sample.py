"""The built-in sample: drawn faces in an SFHQ-T2I folder, so that everything runs without a download.

Pictures are exactly what their prompts say (`builders/sample/faces/`). Which generator "made" one, its
settings, its captions and the votes on it are plausible inventions, and `NOTICE` says so on the card. How
often captions err and what the votes are drawn from is known, so that what the kit measures can be compared
with the truth. The same folder comes out each time, byte for byte, for one version of Pillow.

    python -c "import pathlib, builders.sources.sample as s; s.write_sample(pathlib.Path('faces'))"
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from builders.sample.captions import ERROR_RATE, sample_captions, true_attributes
from builders.sample.images import (
    COUNTS,
    IMAGE_PIXELS,
    JPEG_QUALITY,
    invent_config,
    sample_faces,
    sample_prompts,
    write_images,
)
from builders.sample.preferences import STRENGTHS, VOTE_SHARES, sample_preferences, true_win_rates

__all__ = [
    "ABOUT",
    "COUNTS",
    "ERROR_RATE",
    "IMAGE_PIXELS",
    "JPEG_QUALITY",
    "LICENSE",
    "NOTICE",
    "STRENGTHS",
    "VOTE_SHARES",
    "invent_config",
    "sample_captions",
    "sample_faces",
    "sample_preferences",
    "sample_prompts",
    "true_attributes",
    "true_win_rates",
    "write_sample",
]

LICENSE = "mit"  # the kit's own, which invents captions and votes
NOTICE = (
    "**This release holds the kit's built-in sample: faces drawn by code, not images from the generators "
    "named.** Prompts say exactly what is drawn; generators, settings and licences only imitate the real "
    "collection's. Captions and votes are invented by the kit: no captioner and no person made them. "
    "It shows what a release looks like and is not for training."
)
# Takes the place of what the maintainer writes about the real collection, which is not true of the sample.
ABOUT = {
    "title": "Drawn faces: the built-in sample of a kit for datasets",
    "summary": "Drawn portraits, each with a prompt that says exactly what is drawn.",
    "homepage": None,
    "description": "",
    "use_cases": ("A first look at the files of a release, and tests of programs that read them.",),
    "out_of_scope": "Training or evaluation.",
    "biases": "",
    "social_impact": "",
    "personal_information": "",
    "derived_from": (),
    "generated_by": (),
    "limitations": "- The faces are simple drawings, and their attributes are drawn at random.",
    "tags": ("synthetic", "faces", "sample"),
}


def write_sample(folder: Path) -> None:
    """Write the sample as an SFHQ-T2I folder, with `captions.jsonl` and `preferences.jsonl` in it.

    Args:
        folder: A folder of ours; made if missing.
    """
    write_images(folder)
    _write_lines(folder / "captions.jsonl", sample_captions())
    _write_lines(folder / "preferences.jsonl", sample_preferences())


def _write_lines(path: Path, records: Iterable[Mapping[str, object]]) -> None:
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
