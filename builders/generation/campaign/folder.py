"""The folder of a campaign: made whole or not at all, and read with every problem."""

import hashlib
import itertools
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from builders.files import sync
from builders.generation.campaign.candidates import CODE, Candidate
from builders.generation.campaign.design import ChosenPair, pair_id
from builders.generation.campaign.links import SECRET_BYTES, make_annotator, new_secret, token_of
from builders.images.files import ImageFile, ImageRefusedError, read_image
from builders.images.integrity import inspect_image
from schemas.campaign import (
    ANNOTATORS_FILE,
    CAMPAIGN_FILE,
    IMAGES_FOLDER,
    NOT_SHOWN_FILE,
    PAIRS_FILE,
    SECRET_FILE,
    VOTES_FILE,
    CampaignAnnotator,
    CampaignPair,
    CampaignSettings,
)
from schemas.problems import Problem, Reason, SettingsError, SourceError
from schemas.records import image_id_of, image_path
from schemas.settings import BuildSettings

_Row = TypeVar("_Row", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as its folder has it.

    Attributes:
        path: The folder.
        settings: What is asked.
        pairs: In their order.
        annotators: Who has a link.
        secret: The key of links and votes.
    """

    path: Path
    settings: CampaignSettings
    pairs: Sequence[CampaignPair]
    annotators: Sequence[CampaignAnnotator]
    secret: bytes

    @property
    def votes_path(self) -> Path:
        """The file of votes."""
        return self.path / VOTES_FILE

    @property
    def not_shown_path(self) -> Path:
        """The file of pairs that could not be shown, which is made when there is one."""
        return self.path / NOT_SHOWN_FILE

    def tokens(self) -> list[tuple[str, str]]:
        """Return the annotators' ids with the tokens of their links, in the order of their numbers."""
        return [(each.id, token_of(self.secret, each.id)) for each in self.annotators]


def refuse_existing(out: Path) -> None:
    """Refuse a place where something is.

    Raises:
        SettingsError: There is a file, a link, or a folder that is not empty.
    """
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        message, fix = "there is something in the way of the campaign", "give another --out, or remove it"
        raise SettingsError(
            Problem(Reason.SETTINGS, message, column="--out", value=str(out), fix=fix, code=CODE)
        )


def write_campaign(
    out: Path, settings: CampaignSettings, pairs: Iterable[ChosenPair], num_annotators: int
) -> Campaign:
    """Make the folder of a campaign; it is there whole or not at all.

    Images are hard links where the disk allows it, and copies elsewhere.

    Raises:
        SettingsError: Something is in the way.
        SourceError: Some images cannot be shown; all are listed.
    """
    out = out.absolute()  # "." has no name
    refuse_existing(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = out.parent / f".{out.name}.open"
    shutil.rmtree(work, ignore_errors=True)
    (work / IMAGES_FOLDER).mkdir(parents=True)
    try:
        written = _write_pairs(work, settings, pairs)
        secret = new_secret()
        annotators = [make_annotator(secret, number) for number in range(num_annotators)]
        _write_private(work / SECRET_FILE, secret.hex().encode())
        (work / CAMPAIGN_FILE).write_text(settings.model_dump_json(indent=2) + "\n", encoding="utf-8")
        _write_lines(work / PAIRS_FILE, written)
        _write_lines(work / ANNOTATORS_FILE, annotators)
        _write_private(work / VOTES_FILE, b"")
        for path in (*work.iterdir(), work):
            sync(path)
        if out.is_dir():
            out.rmdir()
        work.rename(out)
        sync(out.parent)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return Campaign(out, settings, written, annotators, secret)


def read_campaign(path: Path) -> Campaign:
    """Read a campaign.

    Raises:
        SourceError: There is none, or a file of it cannot be read; all problems are listed.
    """
    if not (path / CAMPAIGN_FILE).is_file():
        message = f"there is no campaign here: no {CAMPAIGN_FILE}"
        fix = "give the folder that `sfhq campaign new` made"
        raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix, code=CODE))
    problems = list[Problem]()
    try:
        settings = CampaignSettings.model_validate_json((path / CAMPAIGN_FILE).read_bytes())
    except ValidationError as error:
        raise SourceError(_problem(path / CAMPAIGN_FILE, _first_error(error))) from error
    pairs = _read_lines(path / PAIRS_FILE, CampaignPair, problems)
    annotators = _read_lines(path / ANNOTATORS_FILE, CampaignAnnotator, problems)
    secret = b""
    with suppress(OSError, ValueError):
        secret = bytes.fromhex((path / SECRET_FILE).read_text(encoding="ascii").strip())
    if len(secret) != SECRET_BYTES:
        problems.append(_problem(path / SECRET_FILE, "the key of the campaign is missing or damaged"))
    if problems:
        raise SourceError(problems)
    return Campaign(path, settings, pairs, annotators, secret)


def add_annotators(campaign: Campaign, number: int) -> Campaign:
    """Return the campaign with at least so many annotators; the new ones are written."""
    known = {annotator.id for annotator in campaign.annotators}
    made = (make_annotator(campaign.secret, each) for each in itertools.count(len(known)))
    new = list(itertools.islice((each for each in made if each.id not in known), max(0, number - len(known))))
    if not new:
        return campaign
    path = campaign.path / ANNOTATORS_FILE
    annotators = [*campaign.annotators, *new]
    open_path = path.with_name(f".{path.name}.open")
    _write_lines(open_path, annotators)
    sync(open_path)
    open_path.replace(path)
    return Campaign(campaign.path, campaign.settings, campaign.pairs, annotators, campaign.secret)


def _write_pairs(work: Path, settings: CampaignSettings, pairs: Iterable[ChosenPair]) -> list[CampaignPair]:
    """Put the images into the folder, and return its pairs.

    Raises:
        SourceError: Some images cannot be shown.
    """
    written, problems = list[CampaignPair](), list[Problem]()
    known: dict[str, tuple[str, str] | None] = {}
    for pair in pairs:
        for image in (pair.first, pair.second):
            if image.name not in known:
                known[image.name] = _put_image(work, image, problems)
        first, second = known[pair.first.name], known[pair.second.name]
        if first is None or second is None:
            continue
        facts = pair.first.facts
        written.append(
            CampaignPair(
                id=pair_id(pair.first.prompt, first[0], second[0]),
                prompt=pair.first.prompt,
                image_1=first[1],
                image_2=second[1],
                image_1_id=first[0],
                image_2_id=second[0],
                model_1=pair.first.generator,
                model_2=pair.second.generator,
                category=facts.category,
                sub_category=facts.sub_category,
                evolution=facts.evolution,
                license=settings.license,
                prompt_license=facts.license,
                prompt_id=facts.prompt_id,
                first_left=pair.first_left,
                gold=pair.gold,
            )
        )
    if problems:
        raise SourceError(problems)
    return written


def _put_image(work: Path, image: Candidate, problems: list[Problem]) -> tuple[str, str] | None:
    """Put an image into the folder; return its id and path, or None with a problem."""
    limits = BuildSettings()
    try:
        data = read_image(ImageFile(image.path), limits.max_image_bytes)
        facts = inspect_image(data, hashlib.sha256(data).hexdigest(), limits)
    except ImageRefusedError as error:
        problems.append(_problem(image.path, error.message, error.fix))
        return None
    image_id = image_id_of(facts.sha256)
    name = f"{IMAGES_FOLDER}/{image_path(image_id, facts.format)}"
    if not (work / name).exists():
        try:
            os.link(image.path, work / name)
        except OSError:  # another disk, or one without hard links
            (work / name).write_bytes(data)
    return image_id, name


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _write_lines(path: Path, rows: Iterable[BaseModel]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{row.model_dump_json()}\n" for row in rows)


def _read_lines(path: Path, kind: type[_Row], problems: list[Problem]) -> list[_Row]:
    rows = list[_Row]()
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        problems.append(_problem(path, f"the file cannot be read: {error.strerror}"))
        return rows
    for number, line in enumerate(lines, 1):
        try:
            rows.append(kind.model_validate_json(line))
        except ValidationError as error:
            problems.append(_problem(path, _first_error(error), row=number))
    return rows


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "the line"
    return f"{place}: {first['msg']}"


def _problem(path: Path, message: str, fix: str = "restore the file", row: int | None = None) -> Problem:
    return Problem(Reason.SOURCE, message, file=str(path), row=row, fix=fix, code=CODE)
