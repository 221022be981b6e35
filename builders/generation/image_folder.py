"""The folder of generated images: an SFHQ-T2I folder, with what was asked for beside it.

    SFHQ_T2I_dataset.csv      upstream's four columns, one row for each image
    generation.jsonl          one `GenerationRecord` for each request that was answered
    images/                   the files as they were delivered
    .generation/              the journal, and images that are no part of the collection: flagged ones

Both tables follow from the journal, and are written whole. Rows that are not from the journal come first.
What a person has changed in a row is kept, and a row that a person has removed is not written again.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from builders.files import open_whole, sync
from builders.generation.journal import Journal
from schemas.generation import GENERATION_FILE, GenerationRecord
from schemas.problems import Problem, Reason, SettingsError
from schemas.records import IMAGE_FORMATS

TABLE_NAME = "SFHQ_T2I_dataset.csv"
COLUMNS = ("image_filename", "model_used", "text_prompt", "configs")
WORK, JOURNAL = ".generation", "journal.sqlite"
IMAGES, KEPT = "images", f"{WORK}/kept"
_MAX_LINE_CHARS = 10_000_000
_FIX = "correct the file, or give another --out; a release reads several folders"
_Row = tuple[str, ...]


class ImageFolder:
    """Writes images and tables into one folder.

    Args:
        path: The folder.

    Raises:
        SettingsError: It has a table of another form, or a link in the place of one of its folders.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        problems = [*self._wrong_places(), *self._wrong_table(), *self._wrong_records()]
        if problems:
            raise SettingsError(problems)

    @property
    def journal_path(self) -> Path:
        """Where the journal is."""
        return self.path / WORK / JOURNAL

    def make(self) -> None:
        """Make the folder with those in it."""
        for name in (IMAGES, KEPT):
            (self.path / name).mkdir(parents=True, exist_ok=True)

    def write_image(self, file_name: str, data: bytes) -> None:
        """Write an image, and force it to the disk.

        Args:
            file_name: Below the folder, in `IMAGES` or `KEPT`.
            data: Its bytes.
        """
        path = self.path / file_name
        with open_whole(path) as open_path:
            open_path.write_bytes(data)
            sync(open_path)
        sync(path.parent)

    def write_tables(self, journal: Journal) -> list[str]:
        """Write the tables: rows of others first, then each answered request in order.

        Answers that come meanwhile are for the next time.

        Returns:
            The names of images that the table has, and the folder has not.
        """
        new = journal.unlisted()
        missing = self._write_table(journal, new)
        self._write_records(journal, new)
        sync(self.path)
        journal.list_records(new)
        return missing

    def read_records(self) -> Iterator[GenerationRecord]:
        """Yield the records of the folder whose images are there, from whatever journal."""
        for line in self._read_lines():
            try:
                record = GenerationRecord.model_validate_json(line)
            except ValidationError:  # of another program; the line is kept
                continue
            name = record.image_filename
            if name is None or (self.path / IMAGES / Path(name).name).is_file():
                yield record

    def _write_table(self, journal: Journal, new: set[str]) -> list[str]:
        path = self.path / TABLE_NAME
        # A table that is gone was lost: only a row that is gone from a table was removed by a person.
        is_first = not path.is_file()
        present, changed = set[str](), dict[str, _Row]()
        missing = list[str]()
        with open_whole(path) as open_path:
            with open_path.open("w", encoding="utf-8", newline="") as file:
                # All cells are quoted: the library does not quote a carriage return by itself.
                table = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
                table.writerow(COLUMNS)
                for row in self._read_table():
                    ours = journal.find_file(f"{IMAGES}/{row[0]}")
                    if ours is None:
                        table.writerow(row)
                        continue
                    present.add(row[0])
                    if tuple(row) != _table_row(*ours):
                        changed[row[0]] = tuple(row)
                for record, settings, file_name in journal.records():
                    name = record.image_filename
                    if name is None or file_name is None:
                        continue
                    if is_first or record.request_key in new or name in present:
                        table.writerow(changed.get(name) or _table_row(record, settings))
                        if not (self.path / file_name).is_file():
                            missing.append(name)
            sync(open_path)
        return missing

    def _write_records(self, journal: Journal, new: set[str]) -> None:
        path = self.path / GENERATION_FILE
        is_first, present = not path.is_file(), set[str]()
        if is_first and not journal.has_records():
            return  # an empty file is none
        with open_whole(path) as open_path:
            with open_path.open("w", encoding="utf-8", newline="\n") as lines:
                for line in self._read_lines():
                    key = _key_of(line)
                    if key is not None and journal.has_key(key):
                        present.add(key)
                    else:
                        lines.write(f"{line}\n")
                for record, _, _ in journal.records():
                    if is_first or record.request_key in new or record.request_key in present:
                        lines.write(f"{json.dumps(record.model_dump(mode='json'), ensure_ascii=False)}\n")
            sync(open_path)

    def _read_table(self) -> Iterator[list[str]]:
        """Yield the rows of the table that is there, without its header."""
        path = self.path / TABLE_NAME
        if not path.is_file():
            return
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            next(rows, None)
            yield from (row for row in rows if row)

    def _read_lines(self) -> Iterator[str]:
        """Yield the lines of the file of records that are not empty."""
        path = self.path / GENERATION_FILE
        if path.is_file():
            with path.open(encoding="utf-8-sig", newline="\n") as file:
                while line := file.readline(_MAX_LINE_CHARS):
                    if len(line) == _MAX_LINE_CHARS and not line.endswith("\n"):
                        raise ValueError(f"a line has more than {_MAX_LINE_CHARS:,} characters")
                    if line.strip():
                        yield line.rstrip("\r\n")

    def _wrong_places(self) -> Iterator[Problem]:
        for place in (self.path, *(self.path / name for name in (IMAGES, WORK, KEPT))):
            is_link = place != self.path and place.is_symlink()
            if is_link or (place.exists() and not place.is_dir()):
                message = (
                    "a link is in the way of a folder" if is_link else "a file is in the way of a folder"
                )
                yield _problem(place, message, "remove it, or give another --out")

    def _wrong_table(self) -> Iterator[Problem]:
        """Read the tables that are there once, before money is spent: they are read again to be written."""
        path, row = self.path / TABLE_NAME, 1
        try:
            if _is_in_the_way(path):
                yield _problem(path, "something that is no file is in the way of the table", "remove it")
                return
            header = self._read_header(path)
            if header and header != COLUMNS:
                message = f"the table of the folder has other columns than {', '.join(COLUMNS)}"
                yield _problem(path, message, "give another --out; a release reads several folders")
                return
            for row, cells in enumerate(self._read_table(), 2):
                if len(cells) != len(COLUMNS):
                    message = f"the row has {len(cells)} cells, and the header {len(COLUMNS)}"
                    yield _problem(path, message, _FIX, row=row, value=",".join(cells)[:200])
                    return
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            yield _problem(path, f"the table of the folder cannot be read: {error}", _FIX, row=row + 1)

    def _wrong_records(self) -> Iterator[Problem]:
        path, row = self.path / GENERATION_FILE, 0
        try:
            if _is_in_the_way(path):
                yield _problem(path, "something that is no file is in the way of the records", "remove it")
                return
            for row, _ in enumerate(self._read_lines(), 1):  # noqa: B007 - its number is for the message
                pass
        except (OSError, ValueError) as error:  # not UTF-8 is a ValueError, too
            yield _problem(path, f"the records of the folder cannot be read: {error}", _FIX, row=row + 1)

    def _read_header(self, path: Path) -> _Row:
        if not path.exists():
            return ()
        with path.open(encoding="utf-8-sig", newline="") as file:
            return tuple(next(csv.reader(file), []))


def _is_in_the_way(path: Path) -> bool:
    return path.is_symlink() or (path.exists() and not path.is_file())


def image_name(generator: str, key: str, image_format: str) -> str:
    """Name the file of an image: after its request, so that a name never changes and never repeats.

    Args:
        generator: Which model made it.
        key: Of the request.
        image_format: As Pillow names it.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", generator).strip("._")
    return f"{plain or 'image'}_{key}.{IMAGE_FORMATS[image_format]}"


def _table_row(record: GenerationRecord, settings: Mapping[str, object]) -> _Row:
    seed = record.seed if record.returned_seed is None else record.returned_seed
    configs = dict(settings) | ({} if seed is None else {"seed": seed})
    name = record.image_filename or ""
    return name, record.generator, record.prompt, json.dumps(configs, ensure_ascii=False)


def _key_of(line: str) -> str | None:
    """Return the key of a record; None for a line that is none, which is kept as it is."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    key = values.get("request_key") if isinstance(values, dict) else None
    return key if isinstance(key, str) else None


def _problem(
    path: Path, message: str, fix: str, *, row: int | None = None, value: str | None = None
) -> Problem:
    return Problem(
        Reason.SETTINGS,
        message,
        file=str(path),
        row=row,
        column="--out" if row is None else None,
        value=value,
        fix=fix,
        code="run/image-folder",
    )
