"""The exclusions of a catalog: which rows the maintainer's list takes out of it."""

import sqlite3
from collections.abc import Mapping

from builders.catalog.ledger import Ledger
from builders.catalog.references import References
from builders.sources.exclusions import Exclusion, Exclusions
from schemas.problems import Place, Problem, Reason, SourceError

# An id is listed whether or not an image source has it: it may be of an image that only pairs have.
_SCHEMA = """
CREATE TABLE excluded (image_id TEXT PRIMARY KEY, image TEXT, reason TEXT, row INTEGER) WITHOUT ROWID;
"""
_UNUSED = """
SELECT image, row FROM excluded WHERE image_id NOT IN (SELECT image_id FROM images WHERE image_id IS NOT NULL)
    AND image_id NOT IN (SELECT image_id FROM sides WHERE image_id IS NOT NULL) ORDER BY row
"""


class ExcludedImages:
    """The images that are not published because the maintainer says so.

    Args:
        db: The catalog's database, in which it makes its table.
        ledger: The ledger of the same database.
        listed: The maintainer's list; None where there is none.
    """

    def __init__(self, db: sqlite3.Connection, ledger: Ledger, listed: Exclusions | None) -> None:
        self._db, self._ledger, self._listed = db, ledger, listed
        self._file = listed.file if listed else ""
        db.executescript(_SCHEMA)

    def resolve(self, references: References) -> None:
        """Find the images that are listed, and reject their rows, those of every copy.

        Raises:
            SourceError: The list names something that may be several images; every such row at once.
        """
        if self._listed is None:
            return
        for problem in self._listed.problems:
            self._ledger.note(None, problem)
        ambiguous = [problem for row in self._listed.rows for problem in self._take(row, references)]
        if ambiguous:
            raise SourceError(ambiguous)
        self._reject_images()

    @property
    def reasons(self) -> Mapping[str, str]:
        """Image id → why the image is not published."""
        return dict(self._db.execute("SELECT image_id, reason FROM excluded"))

    def note_unused(self) -> None:
        """Note the ids in the list that no image has, once the images of pairs are known, too."""
        for image, row in self._db.execute(_UNUSED).fetchall():
            self._note_idle(row, "nothing that came in has this image id", image, "remove the row")

    def _take(self, row: Exclusion, references: References) -> list[Problem]:
        """Add one row; return the problems that prevent it."""
        found = references.find(row.image, None)
        image_id = found.image_id or references.id_of(row.image)
        if image_id is not None:
            values = (image_id, row.image, row.reason, row.row)
            if not self._db.execute("INSERT OR IGNORE INTO excluded VALUES (?, ?, ?, ?)", values).rowcount:
                self._note_idle(row.row, "the image is listed above already", row.image, "remove the row")
        elif found.reason is Reason.AMBIGUOUS_IMAGE:
            fix = "write source/name, or the image id"
            place = Place(file=self._file, row=row.row, column="image")
            return [place.problem(Reason.SOURCE, found.message, value=row.image, fix=fix)]
        elif found.reason is Reason.REJECTED_IMAGE:
            self._note_idle(row.row, found.message, row.image, "no action is needed")
        else:
            self._note_idle(row.row, found.message, row.image, references.suggest(row.image))
        return []

    def _note_idle(self, row: int, message: str, image: str, fix: str) -> None:
        problem = Problem(
            Reason.IDLE_EXCLUSION, message, file=self._file, row=row, column="image", value=image, fix=fix
        )
        self._ledger.note(None, problem)

    def _reject_images(self) -> None:
        query = (
            "SELECT inputs.id, file, inputs.row, inputs.name, reason, excluded.row FROM excluded "
            "JOIN images USING (image_id) JOIN inputs ON id = input_id WHERE rejected IS NULL ORDER BY id"
        )
        for input_id, file, row, name, reason, listed in self._db.execute(query).fetchall():
            message, fix = f"the maintainer excludes it: {reason}", f"see row {listed} of {self._file}"
            self._ledger.reject(
                input_id,
                Problem(
                    Reason.EXCLUDED, message, file=file, row=row, column="image_filename", value=name, fix=fix
                ),
            )
