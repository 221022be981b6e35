"""COCO's captions (https://cocodataset.org/#format-data): annotations that name their image by a number.

{"images": [{"id": 17, "file_name": "a.jpg"}], "annotations": [{"image_id": 17, "id": 1, "caption": "…"}]}
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from builders.sources.tables.json_member_table import MemberTable, columns_of
from builders.sources.tables.json_rows import read_record
from builders.sources.tables.rows import TableRow
from schemas.problems import Problem, Reason

_IMAGES = """
PRAGMA journal_mode = OFF;
CREATE TABLE images (id TEXT PRIMARY KEY, file_name TEXT, is_repeated INTEGER DEFAULT 0) WITHOUT ROWID;
"""
_INSERT = """
INSERT INTO images (id, file_name) VALUES (?, ?)
ON CONFLICT (id) DO UPDATE SET is_repeated = is_repeated OR file_name IS NOT excluded.file_name
"""
# The ids of COCO say nothing outside of its file, and must not look like those of images elsewhere.
_NAMES = {"id": "annotation_id", "image_id": "coco_image_id"}


class CocoTable(MemberTable):
    """A COCO file; each annotation is a row with the `file_name` of its image.

    Either array may come first, and there may be millions of images: each reading puts their names into a
    temporary database on disk.
    """

    def __init__(self, path: Path, num_rows: int) -> None:
        super().__init__(path, num_rows)
        rows = (read_record(self.name, 0, raw, "element") for raw in self.elements_of("annotations"))
        self.columns = ("file_name", *(_NAMES.get(name, name) for name in columns_of(rows)))

    def rows(self) -> Iterator[TableRow]:
        """Yield every annotation in order."""
        with closing(sqlite3.connect("")) as db:
            db.executescript(_IMAGES)
            is_loaded = False
            with self.scan() as text:
                for key in text.member_keys():
                    name, is_array = json.loads(key), text.peek() == "["
                    if name == "images" and is_array and not is_loaded:
                        self._load(db, text.elements())
                        is_loaded = True
                    elif name == "annotations" and is_array:
                        if not is_loaded:  # they come after it
                            self._load(db, self.elements_of("images"))
                            is_loaded = True
                        yield from self._annotations(text.elements(), db)
                    else:
                        text.skip()
                text.expect_end()

    def _load(self, db: sqlite3.Connection, images: Iterator[str]) -> None:
        """Put the names of images into the database; what is no image leaves its annotations without one."""
        for number, raw in enumerate(images, 1):
            cells = read_record(self.name, number, raw, "element").cells
            name = cells.get("file_name")
            if "id" in cells:
                db.execute(_INSERT, (json.dumps(cells["id"]), name if isinstance(name, str) else None))

    def _annotations(self, annotations: Iterator[str], db: sqlite3.Connection) -> Iterator[TableRow]:
        for number, raw in enumerate(annotations, 1):
            row = read_record(self.name, number, raw, "element")
            yield row if row.problems else self._with_name(row, db)

    def _with_name(self, row: TableRow, db: sqlite3.Connection) -> TableRow:
        image = json.dumps(row.cells.get("image_id"))
        at = partial(
            Problem, Reason.UNKNOWN_IMAGE, file=self.name, row=row.number, column="image_id", value=image
        )
        found = db.execute("SELECT file_name, is_repeated FROM images WHERE id = ?", (image,)).fetchone()
        problem = None
        if found is None:
            problem = at(
                'no element of "images" has this id', fix="add the image to the file, or correct the id"
            )
        elif found[1]:
            problem = at('several elements of "images" have this id', fix="give each image an id of its own")
        elif found[0] is None:
            problem = at("the image of this id has no file_name", fix="write it into the file")
        if problem is not None:
            return TableRow(row.number, {}, row.raw, (problem,))
        cells = {_NAMES.get(name, name): value for name, value in row.cells.items()}
        return TableRow(row.number, {"file_name": found[0], **cells}, row.raw, ())
