"""Clean prompts: what may be used and is there once stays, and everything else has a reason."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from builders.generation.languages import Language, LanguageModel
from builders.generation.near_repeats import find_repeats
from builders.generation.opinions import Opinion, OpinionAsker, OpinionError, TextJudge, UnaskedOpinionError
from builders.generation.prompt_files import FILE_CODE, Line, read_prompts
from builders.generation.rules import find_in_prompt
from builders.parallel import Track, open_lanes, untracked
from schemas.problems import Problem, Reason, ReleaseError, SourceError
from schemas.prompts import MAX_PROMPT_CHARS, AskedAttribute, PromptRecord

UNREADABLE, EMPTY, TOO_LONG, SAME_ID = "unreadable", "empty", "too-long", "repeated-id"
LANGUAGE, REPEAT, NEAR_REPEAT = "language", "repeat", "near-repeat"
OPINION, UNJUDGED = "second-opinion", "unjudged"
_ID_CHARS = 16
_MAX_FAILED_IN_A_ROW = 5
_BATCH = 4  # texts for each lane before failures are counted


@dataclass(frozen=True, slots=True)
class Opinions:
    """The classifiers to ask.

    Attributes:
        judges: Each is asked about every text that nothing before speaks against.
        asker: How.
    """

    judges: Sequence[TextJudge]
    asker: OpinionAsker


@dataclass(frozen=True, slots=True)
class Removal:
    """Why a row is left out.

    Attributes:
        reason: The code: a rule of `rules.NEVER`, `age`, or one of this module.
        message: As a sentence.
    """

    reason: str
    message: str


@dataclass(slots=True)
class Row:
    """One row of the file, and what is known of it.

    Attributes:
        number: From 1, as in the file.
        raw: The text as it came.
        text: The text as it is written.
        line: What was read; None if nothing could be.
        prompt_id: As given, or made from the text.
        removals: Why it is left out; empty if it stays.
        language: Of the text; None if nobody asked.
        repeats: Number of the row that it repeats, and how alike they are.
        scores: Classifier and label → score.
    """

    number: int
    raw: str
    text: str = ""
    line: Line | None = None
    prompt_id: str | None = None
    removals: list[Removal] = field(default_factory=list)
    language: Language | None = None
    repeats: tuple[int, float] | None = None
    scores: dict[str, float] = field(default_factory=dict)

    def record(self, index: int, prompt_license: str | None) -> PromptRecord:
        """Return the row as it is written.

        Args:
            index: Its place in the new file, for prompts that no grammar made.
            prompt_license: Licence of prompts that say none.
        """
        line = self.line
        if line is None:
            raise AssertionError("a row that cannot be read does not stay")
        update = {
            "prompt": self.text,
            "prompt_id": self.prompt_id,
            "prompt_license": line.origin.prompt_license or prompt_license,
        }
        if line.record is not None:
            return line.record.model_copy(update=update)
        asked = tuple(AskedAttribute(attribute=name, value=value) for name, value in line.attributes)
        values = line.origin.model_dump() | update
        return PromptRecord.model_validate({"index": index, "attributes": asked, **values})


def clean_prompts(
    path: Path,
    least_likeness: float,
    languages: LanguageModel | None,
    opinions: Opinions | None = None,
    track: Track = untracked,
) -> list[Row]:
    """Return every row of a file of prompts, in order, with the reasons to leave it out.

    Args:
        path: A .jsonl, .csv or .txt file.
        least_likeness: From which likeness on a text is a near repeat, above 0 to 1.
        languages: Says which texts are not English; None to keep those of any language.
        opinions: Asks classifiers about every text that nothing else speaks against.
        track: Shows how far it is.

    Raises:
        SourceError: The file as a whole cannot be read, or has no prompts.
        KitError: A classifier answers nothing.
    """
    rows = _read(path)
    seen = dict[str, Row]()
    for row in track(rows, "checking prompts", len(rows)):
        if row.line is not None:
            _look_at(row, row.line, languages)
            _name(row, row.line, seen)
    _leave_out_repeats([row for row in rows if not row.removals], least_likeness)
    if opinions is not None:
        for judge in opinions.judges:
            _ask(judge, [row for row in rows if not row.removals], opinions.asker, track)
    return rows


def count_reasons(rows: Iterable[Row]) -> Mapping[str, int]:
    """Count the rows that are left out by their first reason, the most frequent first."""
    return dict(Counter(row.removals[0].reason for row in rows if row.removals).most_common())


def normalise(text: str) -> str:
    """Return a text on one line: blanks for line breaks and control characters, none that nothing shows."""
    kept = "".join(
        " " if category in ("Cc", "Zl", "Zp") else "" if category in ("Cf", "Cs", "Cn") else char
        for char in unicodedata.normalize("NFC", text)
        for category in (unicodedata.category(char),)
    )
    return " ".join(kept.split())


def make_id(text: str) -> str:
    """Return the id of a prompt that came without one: the same for the same text."""
    return f"prompt-{sha256(text.encode()).hexdigest()[:_ID_CHARS]}"


def _read(path: Path) -> list[Row]:
    problems = list[Problem]()
    rows = {
        line.row: Row(line.row, line.text, normalise(line.text), line)
        for line in read_prompts(path, problems)
    }
    for problem in problems:
        row = rows.setdefault(problem.row or 0, Row(problem.row or 0, problem.value or ""))
        row.removals.append(Removal(UNREADABLE, problem.message))
    if not rows:
        message, fix = "the file has no prompts", "give a file with one prompt a line"
        raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix, code=FILE_CODE))
    return [rows[number] for number in sorted(rows)]


def _look_at(row: Row, line: Line, languages: LanguageModel | None) -> None:
    """Find what the text of a row has that no text may have."""
    if not row.text:
        row.removals.append(Removal(EMPTY, "the text has no characters that can be seen"))
        return
    if len(row.text) > MAX_PROMPT_CHARS:
        row.removals.append(Removal(TOO_LONG, f"the text has more than {MAX_PROMPT_CHARS:,} characters"))
        return
    for found in find_in_prompt(row.text, line.attributes):
        row.removals.append(Removal(found.rule, found.message))
    if languages is not None:
        row.language = language = languages.detect(row.text)
        if not language.is_english:
            message = f"the text is not in English, but in {language.code!r} (score {language.score:.2f})"
            row.removals.append(Removal(LANGUAGE, message))


def _name(row: Row, line: Line, seen: dict[str, Row]) -> None:
    row.prompt_id = line.origin.prompt_id or make_id(row.text)
    if line.origin.prompt_id is None or row.removals:
        return
    first = seen.setdefault(row.prompt_id, row)
    if first is not row and first.text != row.text:
        message = f"row {first.number} has the id {row.prompt_id!r}, too, with another text"
        row.removals.append(Removal(SAME_ID, message))


def _leave_out_repeats(rows: Sequence[Row], least_likeness: float) -> None:
    first, different = dict[str, Row](), list[Row]()
    for row in rows:
        same = first.setdefault(row.text.casefold(), row)
        if same is row:
            different.append(row)
        else:
            row.repeats = same.number, 1.0
            row.removals.append(Removal(REPEAT, f"the text is that of row {same.number}"))
    for place, repeat in find_repeats([row.text for row in different], least_likeness):
        row, of = different[place], different[repeat.of]
        row.repeats = of.number, repeat.likeness
        message = f"the text is {repeat.likeness:.0%} that of row {of.number}"
        row.removals.append(Removal(NEAR_REPEAT, message))


def _ask(judge: TextJudge, rows: Sequence[Row], asker: OpinionAsker, track: Track) -> None:
    """Ask a classifier about every row.

    Raises:
        ReleaseError: It fails for one text after the other.
        KitError: As it says.
    """
    num_failed = 0
    for row, said in track(_answers(judge, rows, asker), f"asking {judge.name}", len(rows)):
        if isinstance(said, Opinion):
            num_failed = 0
            row.scores |= {f"{judge.name}: {label}": score for label, score in said.scores.items()}
            if said.is_unsafe:
                row.removals.append(Removal(OPINION, f"{judge.name} says {_worst(said)}"))
            continue
        row.removals.append(Removal(UNJUDGED, f"{judge.name} has no answer: {said}"))
        num_failed += not isinstance(said, UnaskedOpinionError)  # an earlier run's says nothing of the server
        if num_failed >= _MAX_FAILED_IN_A_ROW:
            raise ReleaseError(_too_many_failed(judge, num_failed, str(said)))


def _answers(
    judge: TextJudge, rows: Sequence[Row], asker: OpinionAsker
) -> Iterator[tuple[Row, Opinion | OpinionError]]:
    def ask(row: Row) -> Opinion | OpinionError:
        try:
            return asker.ask(judge, row.text)
        except OpinionError as error:
            return error

    with open_lanes(judge.concurrency) as pool:
        size = _BATCH * judge.concurrency
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            yield from zip(batch, pool.map(ask, batch), strict=True)


def _worst(said: Opinion) -> str:
    unsafe = {label: score for label, score in said.scores.items() if label in said.unsafe_labels}
    label = max(unsafe, key=lambda each: unsafe[each], default="that it is unsafe")
    return f"{label} ({unsafe[label]:.2f})" if label in unsafe else label


def _too_many_failed(judge: TextJudge, number: int, said: str) -> Problem:
    return Problem(
        Reason.RELEASE,
        f"{judge.name} had no usable answer for {number} texts in a row: {said}",
        column="--opinion",
        value=judge.name,
        fix="correct the classifier or its labels, or leave it out; a text without an answer is not safe",
        code="run/text-opinion",
    )


def write_scores(rows: Iterable[Row]) -> Iterator[dict[str, object]]:
    """Yield what is known of each row, as columns of a table."""
    for row in rows:
        language, (of, likeness) = row.language, row.repeats or (None, None)
        yield {
            "row": row.number,
            "prompt_id": row.prompt_id,
            "decision": row.removals[0].reason if row.removals else "kept",
            "is_changed": row.line is not None and row.text != row.raw,
            "language": language.code if language else None,
            "language_score": round(language.score, 4) if language else None,
            "english_score": round(language.english, 4) if language else None,
            "repeats_row": of,
            "likeness": None if likeness is None else round(likeness, 4),
            **{name: round(score, 6) for name, score in row.scores.items()},
        }
