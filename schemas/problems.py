"""Problems: what is wrong, where it is, what to do next.

Its reason decides what a problem does: one with a row of the data sets that row aside (`REJECTED`) or is
only counted (`WARNING`); one that leaves nothing trustworthy to publish stops the run (`BLOCKING`) and
travels in an exception, together with every other that was found at the same stage.

    KitError
    ├── SettingsError   the settings file or a flag          exit 2
    ├── SourceError     a source folder or its table         exit 1
    ├── BuildError      building the files                   exit 1
    ├── ReleaseError    checking or placing a release        exit 1
    └── EmbeddingError  vectors that cannot be compared      exit 1
"""

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Self

from schemas.secrets import mask_secrets, may_hold_secret

SHOWN_VALUE_CHARS = 80
_SHOWN_PART_CHARS = 1500  # names of columns come from strangers, and one may be a whole file


class Severity(StrEnum):
    """What a problem does to the release."""

    WARNING = "warning"
    REJECTED = "rejected"
    BLOCKING = "blocking"


class Reason(StrEnum):
    """The kinds of problem that are counted, each by the word used in reports and in the manifest."""

    # A row that cannot be read as text
    WRONG_CELL_COUNT = "wrong_cell_count"
    BROKEN_QUOTES = "broken_quotes"
    CELL_TOO_LONG = "cell_too_long"
    NOT_UTF8 = "not_utf8"
    CONTROL_CHARACTER = "control_character"
    BAD_JSON = "bad_json"
    # A cell that has the wrong value
    BAD_VALUE = "bad_value"
    EMPTY_NAME = "empty_name"
    UNSAFE_NAME = "unsafe_name"
    UNKNOWN_GENERATOR = "unknown_generator"
    BAD_CONFIG = "bad_config"
    EMPTY_CAPTION = "empty_caption"
    UNKNOWN_LABEL = "unknown_label"
    UNEQUAL_LISTS = "unequal_lists"
    # Rows and files that do not fit together
    DUPLICATE_ROW = "duplicate_row"
    CONFLICTING_ROWS = "conflicting_rows"
    DUPLICATE_IMAGE = "duplicate_image"
    NAME_WITH_TWO_CONTENTS = "name_with_two_contents"
    IMAGE_MISSING = "image_missing"
    IMAGE_WITHOUT_ROW = "image_without_row"
    SIDECAR_NOT_READ = "sidecar_not_read"
    EXCLUDED = "excluded"  # by the maintainer's list: an image, or what is said of it
    # Rows that point at an image
    UNKNOWN_IMAGE = "unknown_image"
    AMBIGUOUS_IMAGE = "ambiguous_image"
    REJECTED_IMAGE = "rejected_image"
    SAME_IMAGE_TWICE = "same_image_twice"
    # An image file that cannot be published
    NOT_A_REGULAR_FILE = "not_a_regular_file"
    LINK_LEAVES_FOLDER = "link_leaves_folder"
    IMAGE_UNREADABLE = "image_unreadable"
    IMAGE_FORMAT = "image_format"
    IMAGE_DAMAGED = "image_damaged"
    IMAGE_TOO_LARGE = "image_too_large"
    # Private data that [privacy] sets aside
    PRIVATE_TEXT = "private_text"
    PRIVATE_IMAGE = "private_image"
    # Published all the same, but counted
    EMPTY_PROMPT = "empty_prompt"
    LOOKS_EMPTY = "looks_empty"
    EMPTY_CONFIG = "empty_config"
    UNKNOWN_SETTING = "unknown_setting"
    UNKNOWN_ATTRIBUTE = "unknown_attribute"
    UNUSUAL_VALUE = "unusual_value"
    NUMBER_NOT_FINITE = "number_not_finite"
    NO_STATUS = "no_status"
    IMAGE_NOT_HERE = "image_not_here"
    IMAGE_NOT_USABLE = "image_not_usable"
    FORMAT_DIFFERS_FROM_NAME = "format_differs_from_name"
    SHARED_NAME = "shared_name"
    UNKNOWN_COLUMN = "unknown_column"
    UNPUBLISHED_COLUMNS = "unpublished_columns"
    ONE_SIDED_ANNOTATOR = "one_sided_annotator"
    MISSING_CHANGES = "missing_changes"
    IDLE_EXCLUSION = "idle_exclusion"
    VIEWER_STATISTICS = "viewer_statistics"  # of a column of a built release
    # Private data that is published all the same: one problem for all rows with one kind of it in one column
    EMAIL_ADDRESS = "email_address"
    IP_ADDRESS = "ip_address"
    HOME_PATH = "home_path"
    IMAGE_POSITION = "image_position"
    IMAGE_OWNER = "image_owner"
    IMAGE_CAMERA = "image_camera"
    DATA_AFTER_IMAGE = "data_after_image"
    DROPPED_COLUMN = "dropped_column"
    IDLE_DROPPED_COLUMN = "idle_dropped_column"
    # A whole file, folder or release
    SETTINGS = "settings"
    SOURCE = "source"
    NOTES = "notes"
    RELEASE = "release"
    RELEASE_TWICE = "release_twice"
    EMBEDDING = "embedding"
    SECRET = "secret"  # noqa: S105 - in a row, an image or the settings

    @property
    def code(self) -> str:
        """The code of a problem that has none of its own: `row/image-missing`, or the word alone."""
        word = self.value.replace("_", "-")
        if self in _PREFIXES:
            return f"{_PREFIXES[self]}/{word}"
        return word if self.severity is Severity.BLOCKING else f"row/{word}"

    # One severity for each reason: a severity at each place let one fault reject a row here and only warn
    # there.
    @property
    def severity(self) -> Severity:
        """What a problem of this kind does."""
        return _SEVERITIES.get(self, Severity.REJECTED)

    @property
    def is_of_many_rows(self) -> bool:
        """Whether one problem of this kind speaks of all rows that have it in one place."""
        return self in _OF_MANY_ROWS


_OF_MANY_ROWS = (
    Reason.EMAIL_ADDRESS,
    Reason.IP_ADDRESS,
    Reason.HOME_PATH,
    Reason.IMAGE_POSITION,
    Reason.IMAGE_OWNER,
    Reason.IMAGE_CAMERA,
    Reason.DATA_AFTER_IMAGE,
    Reason.DROPPED_COLUMN,
    Reason.IDLE_DROPPED_COLUMN,
)
# Reasons that are no row's, and need no code at each place.
_PREFIXES = {Reason.VIEWER_STATISTICS: "check", Reason.RELEASE_TWICE: "host"}
_SEVERITIES = {
    Reason.EMPTY_PROMPT: Severity.WARNING,
    Reason.LOOKS_EMPTY: Severity.WARNING,
    Reason.EMPTY_CONFIG: Severity.WARNING,
    Reason.UNKNOWN_SETTING: Severity.WARNING,
    Reason.UNKNOWN_ATTRIBUTE: Severity.WARNING,
    Reason.UNUSUAL_VALUE: Severity.WARNING,
    Reason.NUMBER_NOT_FINITE: Severity.WARNING,
    Reason.NO_STATUS: Severity.WARNING,
    Reason.IMAGE_NOT_HERE: Severity.WARNING,
    Reason.IMAGE_NOT_USABLE: Severity.WARNING,
    Reason.FORMAT_DIFFERS_FROM_NAME: Severity.WARNING,
    Reason.SHARED_NAME: Severity.WARNING,
    Reason.UNKNOWN_COLUMN: Severity.WARNING,
    Reason.UNPUBLISHED_COLUMNS: Severity.WARNING,
    Reason.ONE_SIDED_ANNOTATOR: Severity.WARNING,
    Reason.MISSING_CHANGES: Severity.WARNING,
    Reason.IDLE_EXCLUSION: Severity.WARNING,
    Reason.VIEWER_STATISTICS: Severity.WARNING,
    Reason.RELEASE_TWICE: Severity.WARNING,
    **dict.fromkeys(_OF_MANY_ROWS, Severity.WARNING),
    Reason.SETTINGS: Severity.BLOCKING,
    Reason.SOURCE: Severity.BLOCKING,
    Reason.NOTES: Severity.BLOCKING,
    Reason.RELEASE: Severity.BLOCKING,
    Reason.EMBEDDING: Severity.BLOCKING,
    Reason.SECRET: Severity.BLOCKING,
}


_TEXTS = ("message", "file", "column", "value", "fix")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        reason: The kind, for counting.
        message: What is wrong, as a sentence without the value and the place.
        file: The file or folder it is in, relative to its source where it has one.
        row: The row as a spreadsheet numbers it: the header is row 1.
        column: The column or settings key.
        value: The offending value; shortened and escaped when shown. Secrets in it are masked from the start.
        fix: What to do next.
        code: A key of `schemas.codes.CODES`; that of the reason where none is given.
    """

    reason: Reason
    message: str
    _: KW_ONLY
    file: str = ""
    row: int | None = None
    column: str | None = None
    value: str | None = None
    fix: str = ""
    code: str = ""

    def __post_init__(self) -> None:
        """Fill in the code of the reason, and mask secrets, which come with values, names and addresses."""
        if not self.code:
            object.__setattr__(self, "code", self.reason.code)
        # Here, so that no terminal, table, manifest or log has to think of it.
        texts = {name: text for name in _TEXTS if (text := getattr(self, name))}
        if may_hold_secret(" ".join(texts.values())):
            for name, text in texts.items():
                object.__setattr__(self, name, mask_secrets(text))

    @property
    def severity(self) -> Severity:
        """What it does to the release."""
        return self.reason.severity

    @property
    def place(self) -> str:
        """Return the place as `file:row:column`, without the unknown parts."""
        return ":".join(str(part) for part in (self.file, self.row, self.column) if part not in (None, ""))

    def __str__(self) -> str:
        """Return the problem in one line: place, message, value, fix, each cut where it is very long."""
        value = f" (value: {printable(shorten(self.value))})" if self.value is not None else ""
        place = f"{_cut(self.place)}: " if self.place else ""
        fix = f" → {_cut(self.fix)}" if self.fix else ""
        return f"{place}{_cut(self.message)}{value}{fix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where problems are found; `problem` makes them, so that no place is written twice.

    Attributes:
        file: The file or folder, relative to its source where it has one.
        row: The row as a spreadsheet numbers it: the header is row 1.
        column: The column or settings key.
    """

    file: str = ""
    row: int | None = None
    column: str | None = None

    def problem(
        self,
        reason: Reason,
        message: str,
        *,
        value: str | None = None,
        fix: str = "",
        column: str | None = None,
    ) -> Problem:
        """Return a problem at this place.

        Args:
            reason: The kind, for counting.
            message: What is wrong, as a sentence without the value and the place.
            value: The offending value.
            fix: What to do next.
            column: The column, where it differs from that of the place.
        """
        return Problem(
            reason,
            message,
            file=self.file,
            row=self.row,
            column=self.column if column is None else column,
            value=value,
            fix=fix,
        )


class KitError(Exception):
    """Base of every error that a user can act on; `problems` holds all of them."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[Problem, ...]]]:
        """Travel with its problems, from the process of a worker to that of the command."""
        return type(self), (self.problems,)


class SettingsError(KitError):
    """The settings file or a flag asks for something that cannot be done."""


class SourceError(KitError):
    """A source as a whole cannot be read."""


class BuildError(KitError):
    """The files of a release cannot be built."""


class ClusterError(KitError):
    """The machines that do the work fail, or cannot do it; work that is finished is kept."""


class ReleaseError(KitError):
    """A built release is not what it says, or cannot be placed."""


class EmbeddingError(KitError):
    """Embeddings are not what they should be, or do not fit each other."""


def shorten(value: str, limit: int = SHOWN_VALUE_CHARS) -> str:
    """Quote a value for a message: control characters escaped, at most `limit` characters."""
    text = repr(value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _cut(text: str) -> str:
    shown = printable(text[:_SHOWN_PART_CHARS])
    is_whole = len(text) <= _SHOWN_PART_CHARS and len(shown) <= _SHOWN_PART_CHARS
    return shown if is_whole else f"{shown[: _SHOWN_PART_CHARS - 1]}…"


def printable(text: str) -> str:
    """Escape what a terminal would obey or cannot show: names of files and columns come from strangers."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def name_some(names: Iterable[str], most: int) -> str:
    """Join the first `most` names, escaped for a terminal, with "…" if there are more."""
    listed = [printable(name) for name in names]
    return ", ".join([*listed[:most], *(["…"] if len(listed) > most else [])])


def suggest(value: str, choices: Iterable[str]) -> str:
    """Suggest the nearest allowed values, or list all of them when none is near."""
    allowed = list(choices)
    near = get_close_matches(value, allowed, n=1, cutoff=0.6)
    folded = {choice.casefold(): choice for choice in allowed}
    best = folded.get(value.casefold()) or (near[0] if near else None)
    return f"did you mean {best}?" if best else f"use one of: {', '.join(allowed)}"
