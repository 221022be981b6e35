"""Proposals: what the scores of screened images say against each, and which images to leave out."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path

from builders.features.screening import Candidate, Measured
from schemas.duplicates import NearDuplicate
from schemas.problems import Reason, printable
from schemas.records import RejectedRow
from schemas.screening import NO_SCORES, Finding, ImageScores, ScreenedImage, ScreenLimits

_DAMAGED = (
    *(Reason.IMAGE_DAMAGED, Reason.IMAGE_FORMAT, Reason.IMAGE_TOO_LARGE, Reason.IMAGE_UNREADABLE),
    Reason.NOT_A_REGULAR_FILE,
)
_NAME_CHARS = 80
_SCORES = tuple(field.name for field in fields(ImageScores))
_DIGITS = 4
COLUMNS = (
    *("image_id", "source", "file_name", "row", "generator", "findings", "proposed", "stays", "reason"),
    *_SCORES,
)


def judge_images(
    candidates: Sequence[Candidate], measured: Measured, limits: ScreenLimits
) -> list[ScreenedImage]:
    """Say what speaks against each image, in the order of the candidates.

    Of near-duplicates one stays: the first without another finding, by most pixels, most bytes, and image id.
    """
    found = {
        one.image_id: list(_judge(measured.scores.get(one.image_id, NO_SCORES), limits)) for one in candidates
    }
    for image_id, why in measured.damaged.items():
        found[image_id] = [(Finding.DAMAGED, f"the image does not decode: {why}")]
    stays = _choose_stays(candidates, found, measured.near_duplicates)
    for row in measured.near_duplicates:
        if stays[row.group] != row.image_id:
            found[row.image_id].append((Finding.NEAR_DUPLICATE, _describe(row, stays[row.group])))
    kept = {row.image_id: stays[row.group] for row in measured.near_duplicates}
    return [
        ScreenedImage(
            image_id=one.image_id,
            source=one.source,
            file_name=one.file_name,
            row=None,
            generator=one.generator,
            findings=tuple(finding for finding, _ in found[one.image_id]),
            reasons=tuple(reason for _, reason in found[one.image_id]),
            stays=kept[one.image_id] if kept.get(one.image_id, one.image_id) != one.image_id else None,
            scores=measured.scores.get(one.image_id, NO_SCORES),
        )
        for one in candidates
    ]


def list_set_aside(rows: Iterable[RejectedRow]) -> list[ScreenedImage]:
    """List rows that a release sets aside by itself; damaged images are among them."""
    return [
        ScreenedImage(
            image_id="",
            source=row.source,
            file_name=row.name,
            row=row.row,
            generator="",
            findings=(Finding.DAMAGED if row.reason in _DAMAGED else Finding.SET_ASIDE,),
            reasons=(row.problems[0].message if row.problems else row.reason.replace("_", " "),),
        )
        for row in rows
        if row.reason != Reason.EXCLUDED
    ]


def name_of(image: ScreenedImage) -> str:
    """Return an image's name for people: its end, escaped for a terminal."""
    name = printable(image.file_name)
    return name if len(name) <= _NAME_CHARS else f"…{name[-_NAME_CHARS:]}"


def propose_exclusions(images: Iterable[ScreenedImage]) -> list[tuple[str, str]]:
    """Return image id and reason of each image whose exclusion is proposed, by finding and then by name.

    Images are named by their ids: names of files repeat, and those of strangers may mean other images.
    """
    proposed = sorted(
        (image for image in images if image.is_proposed),
        key=lambda image: (list(Finding).index(image.findings[0]), image.source, image.file_name),
    )
    return [(image.image_id, f"{'; '.join(image.reasons)} ({name_of(image)})") for image in proposed]


def worst_first(images: Iterable[ScreenedImage], finding: Finding) -> list[ScreenedImage]:
    """Return the images with a finding, the worst first, near-duplicates by the image that stays."""
    found = [image for image in images if finding in image.findings]
    return sorted(found, key=lambda image: (*_badness(image, finding), image.source, image.file_name))


def write_scores(path: Path, images: Iterable[ScreenedImage]) -> None:
    """Write every score of every image as CSV, whose columns are `COLUMNS`.

    Texts that a spreadsheet would run as a formula begin with an apostrophe.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for image in images:
            findings = "; ".join(image.findings)
            texts = (image.source, image.file_name, image.generator, "; ".join(image.reasons))
            source, name, generator, reason = map(_plain, texts)
            proposed = "yes" if image.is_proposed else ""
            scores = (round(score, _DIGITS) if score is not None else None for score in astuple(image.scores))
            table.writerow(
                (
                    image.image_id,
                    source,
                    name,
                    image.row,
                    generator,
                    findings,
                    proposed,
                    image.stays,
                    reason,
                    *scores,
                )
            )


def _judge(scores: ImageScores, limits: ScreenLimits) -> Iterable[tuple[Finding, str]]:
    """Yield findings that need no other image."""
    if scores.brightness is not None and scores.brightness < limits.brightness:
        yield Finding.BLACK, f"black picture: brightness {scores.brightness} of 255"
    elif scores.contrast is not None and scores.contrast < limits.contrast:
        yield Finding.UNIFORM, f"nearly uniform picture: contrast {scores.contrast} of 255"
    if scores.safety is not None and scores.safety > limits.safety:
        yield Finding.UNSAFE, f"safety score {scores.safety:.2f}, above {limits.safety:g}"
    if scores.faces is not None and scores.faces != 1:
        yield Finding.NO_SINGLE_FACE, "no face found" if not scores.faces else f"{scores.faces} faces found"
    if scores.better_prompts is not None and scores.better_prompts > limits.better_prompts:
        share = f"{100 * scores.better_prompts:.0f} % of other prompts fit better"
        yield Finding.LOW_ADHERENCE, f"low adherence: {share}"


def _choose_stays(
    candidates: Sequence[Candidate],
    found: Mapping[str, Sequence[object]],
    near_duplicates: Sequence[NearDuplicate],
) -> dict[str, str]:
    """Choose the image of each group that stays: group → image id."""
    known = {one.image_id: one for one in candidates}
    best: dict[str, tuple[bool, int, int, str]] = {}
    for row in near_duplicates:
        one = known[row.image_id]
        rank = (bool(found[row.image_id]), -one.num_pixels, -one.num_bytes, row.image_id)
        best[row.group] = min(rank, best.get(row.group, rank))
    return {group: rank[-1] for group, rank in best.items()}


def _describe(row: NearDuplicate, stays: str) -> str:
    distance = f"nearest hash {row.hash_distance} bits off" if row.hash_distance is not None else ""
    similarity = f"similarity {row.similarity:.3f}" if row.similarity is not None else ""
    return f"near-duplicate of {stays}: {', '.join(filter(None, (distance, similarity)))}"


def _badness(image: ScreenedImage, finding: Finding) -> tuple[float | str, ...]:
    scores = image.scores
    if finding is Finding.BLACK:
        return (scores.brightness or 0,)
    if finding is Finding.UNIFORM:
        return (scores.contrast or 0,)
    if finding is Finding.UNSAFE:
        return (-(scores.safety or 0),)
    if finding is Finding.NO_SINGLE_FACE:
        return (scores.faces or 0,)
    if finding is Finding.LOW_ADHERENCE:
        return (-(scores.better_prompts or 0), scores.prompt_similarity or 0)
    return (image.stays or "",)


def _plain(text: str) -> str:
    """Escape control characters, and keep a spreadsheet from running a text as a formula."""
    shown = printable(text)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown
