"""Contact sheets of screened images: for each finding one picture, the worst images first."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from builders.card.figures.galleries import FoundTile, draw_findings
from builders.features.proposals import name_of, worst_first
from builders.features.screening import Candidate
from builders.images.integrity import read_again
from builders.parallel import Track
from schemas.problems import printable
from schemas.screening import Finding, ScreenedImage
from schemas.settings import BuildSettings

SHEETS = "sheet-*.png"
MAX_TILES = 48  # six lines of eight: more are no picture but a list, which scores.csv is
_NOT_DRAWN = (Finding.DAMAGED, Finding.SET_ASIDE)


def draw_sheets(
    folder: Path,
    images: Sequence[ScreenedImage],
    candidates: Mapping[str, Candidate],
    build: BuildSettings,
    track: Track,
) -> list[str]:
    """Draw a sheet for each finding of images that can be shown.

    Args:
        folder: Where to write.
        images: What was screened.
        candidates: Image id → where the image is.
        build: Limits for images.
        track: Shows progress.

    Returns:
        Names of the files.

    Raises:
        BuildError: An image changed since it was looked at.
    """
    found = {finding: worst_first(images, finding) for finding in Finding if finding not in _NOT_DRAWN}
    wanted = {finding: listed for finding, listed in found.items() if listed}
    names = list[str]()
    for finding in track(wanted, "drawing sheets", len(wanted)) if wanted else ():
        listed = wanted[finding]
        by_id = {image.image_id: image for image in images} if finding is Finding.NEAR_DUPLICATE else {}
        groups = [*_groups(listed, finding, by_id)]
        num_shown = sum(finding in image.findings for group in groups for image in group)
        tiles = [[_tile(image, finding, candidates, build) for image in group] for group in groups]
        name = SHEETS.replace("*", finding.slug)
        more = "" if num_shown == len(listed) else f"; the worst {num_shown:,} are shown"
        draw_findings(folder / name, f"{finding}: {len(listed):,} of {len(images):,} images{more}", tiles)
        names.append(name)
    return names


def _groups(
    listed: Sequence[ScreenedImage], finding: Finding, by_id: Mapping[str, ScreenedImage]
) -> Iterator[list[ScreenedImage]]:
    """Yield images that stand together: near-duplicates after the one that stays, others alone."""
    if finding is not Finding.NEAR_DUPLICATE:
        yield from ([image] for image in listed[:MAX_TILES])
        return
    groups: dict[str, list[ScreenedImage]] = {}
    for image in listed:
        stays = image.stays or ""
        groups.setdefault(stays, [by_id[stays]]).append(image)
    num_tiles = 0
    for group in groups.values():
        if num_tiles and num_tiles + len(group) > MAX_TILES:
            return
        num_tiles += len(group)
        yield group[:MAX_TILES]


def _tile(
    image: ScreenedImage, finding: Finding, candidates: Mapping[str, Candidate], build: BuildSettings
) -> FoundTile:
    one = candidates[image.image_id]
    data, name = read_again(one.file, one.sha256, build), name_of(image)
    if finding is Finding.LOW_ADHERENCE:
        return FoundTile(data, (name, *_score(image, finding)), printable(one.prompt or ""))
    if finding is Finding.NEAR_DUPLICATE and finding not in image.findings:
        return FoundTile(data, ("stays", name))
    return FoundTile(data, (*_score(image, finding), name))


def _score(image: ScreenedImage, finding: Finding) -> Iterator[str]:
    """Yield the score of a finding in a few words, a line each."""
    scores = image.scores
    if finding is Finding.BLACK:
        yield f"brightness {scores.brightness}"
    elif finding is Finding.UNIFORM:
        yield f"contrast {scores.contrast}"
    elif finding is Finding.UNSAFE:
        yield f"safety {scores.safety:.2f}"
    elif finding is Finding.LOW_ADHERENCE:
        yield (
            f"{100 * (scores.better_prompts or 0):.0f} % of other prompts fit better · "
            f"similarity {scores.prompt_similarity:.3f}"
        )
    else:
        yield f"hash {scores.hash_distance} bits off"
        if scores.similarity is not None:
            yield f"similarity {scores.similarity:.3f}"
