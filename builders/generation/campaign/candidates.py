"""The images of an SFHQ folder that can be compared: those that share a prompt.

The table of the folder says which images there are; `generation.jsonl` beside it adds what is known of each.
"""

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from builders.files import real_path
from builders.generation.image_folder import IMAGES, TABLE_NAME
from builders.generation.rules import find_in_prompt
from schemas.generation import GENERATION_FILE
from schemas.problems import Place, Problem, Reason, SourceError
from schemas.prompts import MAX_PROMPT_CHARS

_NAME, _MODEL, _PROMPT, _CONFIGS = "image_filename", "model_used", "text_prompt", "configs"
_MAX_LINE_CHARS = 10_000_000
_MAX_TEXT_CHARS = 1000
CODE = "run/campaign"


@dataclass(frozen=True, slots=True)
class PromptFacts:
    """What is known of the prompt of an image; null where the folder does not say.

    Attributes:
        prompt_id: Identity of the prompt.
        category: Category of the prompt.
        sub_category: Category below it.
        evolution: How it was evolved.
        license: Terms of the prompt.
    """

    prompt_id: str | None = None
    category: str | None = None
    sub_category: str | None = None
    evolution: str | None = None
    license: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One image that may stand in a pair.

    Attributes:
        name: Its name in the table.
        path: The file, inside the folder.
        prompt: Text that it was made for.
        generator: Model that made it.
        configs: Its settings, as the table has them.
        facts: What is known of the prompt.
    """

    name: str
    path: Path
    prompt: str
    generator: str
    configs: str
    facts: PromptFacts


class _Record(BaseModel):
    """What is read of a line of `generation.jsonl`; other keys may be there."""

    model_config = ConfigDict(extra="ignore")

    image_filename: str | None = None
    prompt_id: str | None = None
    category: str | None = None
    sub_category: str | None = None
    evolution: str | None = None
    prompt_license: str | None = None


def read_candidates(folder: Path) -> tuple[list[Candidate], list[Problem]]:
    """Return the images of a folder in the order of its table, and the rows that cannot be used.

    Rows without an image, and prompts that break the rules of content, are problems.

    Raises:
        SourceError: The table, or the file of records, cannot be read.
    """
    table = _find_table(folder)
    known = _read_records(folder / GENERATION_FILE)
    candidates, problems, seen = list[Candidate](), list[Problem](), set[str]()
    verdicts: dict[str, str | None] = {}
    for row, cells in _read_rows(table):
        name, prompt = cells[_NAME].strip(), cells[_PROMPT].strip()
        place = Place(file=str(table), row=row)
        if not prompt or len(prompt) > MAX_PROMPT_CHARS or "\x00" in prompt:
            message, fix = "the prompt is empty or too long for a page", "correct the row"
            problems.append(place.problem(Reason.BAD_VALUE, message, column=_PROMPT, fix=fix))
            continue
        if prompt not in verdicts:
            verdicts[prompt] = next((found.message for found in find_in_prompt(prompt)), None)
        if (refusal := verdicts[prompt]) is not None:
            fix = "nothing has to be done: no pair has this prompt"
            problems.append(place.problem(Reason.BAD_VALUE, refusal, column=_PROMPT, value=prompt, fix=fix))
            continue
        path = _find_image(folder, name)
        if path is None or name in seen:
            message = "the image is not in the folder" if path is None else "the image has two rows"
            fix = "add the image, or correct the row"
            problems.append(place.problem(Reason.IMAGE_MISSING, message, column=_NAME, value=name, fix=fix))
            continue
        seen.add(name)
        facts = known.get(name, PromptFacts())
        generator = cells[_MODEL].strip()[:_MAX_TEXT_CHARS] or "unknown"
        candidates.append(Candidate(name, path, prompt, generator, cells[_CONFIGS], facts))
    return candidates, problems


def find_copies(candidates: Iterable[Candidate]) -> dict[str, Candidate]:
    """Return each image with the same bytes as an earlier one of its prompt: its name → the earlier one.

    Only images of one size are read, since others differ. An image that cannot be read is no copy.
    """
    by_size: dict[tuple[str, int], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        with suppress(OSError):
            by_size[candidate.prompt, candidate.path.stat().st_size].append(candidate)
    copies: dict[str, Candidate] = {}
    for images in by_size.values():
        firsts: dict[bytes, Candidate] = {}
        for image in images if len(images) > 1 else ():
            with suppress(OSError), image.path.open("rb") as file:
                first = firsts.setdefault(hashlib.file_digest(file, "sha256").digest(), image)
                if first is not image:
                    copies[image.name] = first
    return copies


def _find_table(folder: Path) -> Path:
    """Return the table with upstream's name, or else the only CSV file there is.

    Raises:
        SourceError: There is none.
    """
    named = folder / TABLE_NAME
    others = sorted(folder.glob("*.csv"))
    if named.is_file() or len(others) == 1:
        return named if named.is_file() else others[0]
    message, fix = f"the folder has no {TABLE_NAME}", "give a folder that `sfhq generate` wrote"
    raise SourceError(Problem(Reason.SOURCE, message, file=str(folder), fix=fix, code=CODE))


def _read_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield row numbers and cells by column.

    Raises:
        SourceError: The table cannot be read.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True, restval="")
            missing = [name for name in (_NAME, _MODEL, _PROMPT) if name not in (rows.fieldnames or ())]
            if missing:
                raise SourceError(_unreadable(table, f"the table has no column {', '.join(missing)}"))
            for number, cells in enumerate(rows, 2):
                yield number, {name: cells.get(name) or "" for name in (_NAME, _MODEL, _PROMPT, _CONFIGS)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(_unreadable(table, f"the table cannot be read: {error}")) from error


def _read_records(path: Path) -> dict[str, PromptFacts]:
    """Return what the records say of each image, by its name.

    Raises:
        SourceError: The file cannot be read.
    """
    known: dict[str, PromptFacts] = {}
    if not path.is_file():
        return known
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            while line := file.readline(_MAX_LINE_CHARS):
                try:
                    record = _Record.model_validate_json(line)
                except ValidationError:  # of another program; the table has the image
                    continue
                if record.image_filename is not None:
                    texts = (
                        *(record.prompt_id, record.category, record.sub_category),
                        *(record.evolution, record.prompt_license),
                    )
                    known[record.image_filename] = PromptFacts(*(_short(text) for text in texts))
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(_unreadable(path, f"the records cannot be read: {error}")) from error
    return known


def _short(text: str | None) -> str | None:
    return text[:_MAX_TEXT_CHARS] if text and text.strip() else None


def _find_image(folder: Path, name: str) -> Path | None:
    """Return the file of an image; None if there is none inside the folder."""
    if not name or "\x00" in name:
        return None
    root = real_path(folder)
    for path in (folder / IMAGES / name, folder / name):
        try:
            if path.is_file() and real_path(path).is_relative_to(root):
                return path
        except (OSError, ValueError):  # a name that the system does not allow
            continue
    return None


@dataclass(frozen=True, slots=True)
class GoldLine:
    """One line of a file of gold pairs.

    Attributes:
        row: Its number in the file; empty lines count.
        image_1: Name of an image in the table.
        image_2: Name of another one.
        label: The known answer.
    """

    row: int
    image_1: str
    image_2: str
    label: str


def read_gold(path: Path) -> tuple[list[GoldLine], list[Problem]]:
    """Return the gold pairs of a .jsonl file, and its problems.

    Raises:
        SourceError: The file cannot be read.
    """
    found, problems = list[GoldLine](), list[Problem]()
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # a text in JSON may have other line breaks
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(_unreadable(path, f"the gold pairs cannot be read: {error}")) from error
    for row, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            texts = (str(values[key]) for key in ("image_1", "image_2", "label"))
            found.append(GoldLine(row, *texts))
        except (ValueError, KeyError, TypeError, RecursionError):
            message = "the line is not a JSON object with image_1, image_2 and label"
            fix = 'write {"image_1": "a.jpg", "image_2": "b.jpg", "label": "image_1"}'
            problems.append(
                Problem(Reason.SETTINGS, message, file=str(path), row=row, value=line, fix=fix, code=CODE)
            )
    return found, problems


def _unreadable(path: Path, message: str) -> Problem:
    return Problem(Reason.SOURCE, message, file=str(path), fix="correct the file", code=CODE)
