"""Images that cannot be shown: how that is noticed, and what the campaign keeps of it."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from schemas.campaign import CampaignPair, PairNotShown
from schemas.records import image_id_of


class NotShownError(Exception):
    """An image is missing, cannot be read, or has other bytes than when the campaign was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotShownNumbers:
    """A pair that was left out for some people, since it could not be shown to them.

    Attributes:
        pair: Its id.
        annotators: Public ids of these people.
        last: When it was last reported, in UTC, as ISO 8601.
        problem: What is wrong with its files now; empty if nothing is.
    """

    pair: str
    annotators: Sequence[str]
    last: str
    problem: str


def read_shown(folder: Path, image: str, image_id: str) -> bytes:
    """Return the bytes of an image, which are those that the votes are about.

    Args:
        folder: Of the campaign.
        image: Path in the folder.
        image_id: Its id, a digest of the bytes.

    Raises:
        NotShownError: It is missing, cannot be read, or has other bytes.
    """
    try:
        data = (folder / image).read_bytes()
    except OSError as error:
        message = f"the image cannot be read: {error.strerror}"
        raise NotShownError(message) from error
    if image_id_of(hashlib.sha256(data).hexdigest()) != image_id:
        raise NotShownError("the image has other bytes than when the campaign was made")
    return data


def find_faults(folder: Path, pairs: Iterable[CampaignPair]) -> dict[str, str]:
    """Return what is wrong with the images of some pairs: path in the folder → message."""
    images = dict[str, str]()
    for pair in pairs:
        images |= {pair.image_1: pair.image_1_id, pair.image_2: pair.image_2_id}
    faults = dict[str, str]()
    for image, image_id in images.items():
        try:
            read_shown(folder, image, image_id)
        except NotShownError as error:
            faults[image] = str(error)
    return faults


def add_report(path: Path, report: PairNotShown) -> None:
    """Add a line to the file of reports, on a line of its own also after a killed server.

    Raises:
        OSError: The disk is full or fails.
    """
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.write(b"\n")
        file.write(f"{report.model_dump_json()}\n".encode())


def read_reports(path: Path) -> list[PairNotShown]:
    """Return the reports in their order; half of a line, which a killed server leaves, is none."""
    reports = list[PairNotShown]()
    with suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with suppress(ValidationError):
                reports.append(PairNotShown.model_validate_json(line))
    return reports


def sum_up_reports(
    folder: Path, pairs: Mapping[str, CampaignPair], reports: Iterable[PairNotShown]
) -> list[NotShownNumbers]:
    """Return the pairs that were reported, each with what is wrong with its files now.

    Args:
        folder: Of the campaign.
        pairs: Id → pair.
        reports: In their order.
    """
    by_pair: dict[str, list[PairNotShown]] = defaultdict(list)
    for report in reports:
        if report.pair_id in pairs:
            by_pair[report.pair_id].append(report)
    return [
        NotShownNumbers(
            pair=pair_id,
            annotators=sorted({report.annotator for report in own}),
            last=own[-1].time,
            problem="; ".join(
                f"{image}: {fault}" for image, fault in find_faults(folder, [pairs[pair_id]]).items()
            ),
        )
        for pair_id, own in by_pair.items()
    ]
