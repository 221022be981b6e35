"""What a row of a table says of its image: prompt, generator and settings, whichever columns say it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from pydantic import ValidationError

from builders.images.files import ImageFile
from builders.sources.cells import Cells, find_infinite, may_be_infinite, plain_json, settle_prompt
from builders.sources.intake import ImageInput, ImageText, InputRow, SourceOptions
from builders.sources.listing import Listing
from builders.sources.tables.json_rows import parse_json
from builders.sources.tables.rows import TableRow
from schemas.generators import GENERATORS, Generator, OpenSettings, advise_on_generator, find_generator
from schemas.problems import Place, Problem, Reason, SourceError, suggest
from schemas.records import ALGORITHMIC_MEDIA, TRAINED_ALGORITHMIC_MEDIA, ImageRecord

IMAGE_COLUMNS = ("file_name", "image_filename", "filename", "image_path", "path", "image")
# Role → the columns that may have it, the first that is there.
_COLUMNS: Mapping[str, Sequence[str]] = {
    "generator": ("generator", "model_used", "model"),
    "configs": ("configs", "config_json"),
    "original_prompt": ("original_prompt", "orig_prompt"),
}
# These are the prompt wherever they are; of the others there must be one only.
_PROMPT_COLUMNS, _TEXT_COLUMNS = ("prompt", "text_prompt"), ("text", "caption", "description")
# A table with these columns is of a release: it repeats what the images and `config_json` say.
_OF_RELEASES = frozenset({"image_id", "sha256", "config_json", "digital_source_type"})
_REPEATED = frozenset(ImageRecord.model_fields)


class HasColumns(Protocol):
    """What roles are chosen from: a table, by its name and its columns."""

    @property
    def name(self) -> str: ...  # noqa: D102 - the class says it
    @property
    def columns(self) -> tuple[str, ...]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Roles:
    """Which column says what; None where none does.

    Attributes:
        image: Names the image, or holds it.
        ignored: Columns that repeat what the image's bytes say.

    The others are fields of `ImageText`.
    """

    image: str | None
    prompt: str | None
    generator: str | None
    configs: str | None
    original_prompt: str | None
    ignored: frozenset[str] = frozenset()


_ROLES = ("image", "prompt", "generator", "configs", "original_prompt")


def choose_roles(table: HasColumns, options: SourceOptions, image_columns: Sequence[str]) -> Roles:
    """Choose the column for each role.

    Args:
        table: Its columns.
        options: What the maintainer says: `columns` and `generator`.
        image_columns: Those that may name or hold the image; the first that is there does.

    Raises:
        SourceError: A column that is asked for is not there, several may be the prompt, or no column and no
            setting says which model made the images.
    """
    at = partial(Problem, Reason.SOURCE, file=table.name)
    there = f"the table has {', '.join(table.columns)}"
    problems = [
        at("there is no such column", column=column, fix=f"{suggest(column, table.columns)}; {there}")
        for column in options.columns.values()
        if column not in table.columns
    ]
    chosen: dict[str, str | None] = {
        role: next((name for name in names if name in table.columns), None)
        for role, names in {"image": image_columns, **_COLUMNS}.items()
    }
    texts = [name for name in _PROMPT_COLUMNS if name in table.columns][:1]
    caption = options.columns.get("caption")
    texts = texts or [name for name in _TEXT_COLUMNS if name in table.columns and name != caption]
    chosen |= {"prompt": texts[0] if texts else None, **options.columns}
    if len(texts) > 1 and "prompt" not in options.columns:
        choices = " or ".join(f'columns = {{ prompt = "{name}" }}' for name in texts)
        message = f"more than one column may be the prompt: {', '.join(texts)}"
        problems.append(at(message, fix=f"say which under this source in release.toml: {choices}"))
    if chosen["generator"] is None and options.generator is None:
        problems.append(ask_for_generator(table.name))
    if problems:
        raise SourceError(problems)
    ignored = _REPEATED if set(table.columns) >= _OF_RELEASES else frozenset[str]()
    return Roles(**{role: chosen.get(role) for role in _ROLES}, ignored=ignored)


def ask_for_generator(file: str) -> Problem:
    """Make the question which model made the images of a source that does not say it."""
    message = "nothing says which model made these images, and so which terms bind them"
    fix = (
        'write generator = "NAME" under this source in release.toml, or --generator NAME; '
        f"the kit knows {', '.join(GENERATORS)}, and [[generators]] declares others"
    )
    return Problem(Reason.SOURCE, message, file=file, fix=fix, code="run/no-generator")


def check_generator(options: SourceOptions, file: str) -> None:
    """Check that the generator that is said of all images of a source is built in or declared.

    Raises:
        SourceError: It is neither.
    """
    name = options.generator
    if name is not None and find_generator(name, options.generators) is None:
        unknown = unknown_generator(name, options.generators, file=file)
        raise SourceError(replace(unknown, reason=Reason.SOURCE, code="run/unknown-generator"))


def unknown_generator(
    name: str, declared: Sequence[Generator], *, file: str, row: int | None = None, column: str | None = None
) -> Problem:
    """Make the problem of a generator that is neither built in nor declared."""
    fix = advise_on_generator(name, declared)
    message = "this is not a known generator"
    return Problem(Reason.UNKNOWN_GENERATOR, message, file=file, row=row, column=column, value=name, fix=fix)


def describe_image(
    row: TableRow, table: str, roles: Roles, options: SourceOptions
) -> tuple[ImageText | None, list[Problem]]:
    """Return what a row says of its image, and what is wrong with that.

    Args:
        row: A row that could be read.
        table: Name of its file.
        roles: Which column says what.
        options: What the maintainer says of the source.
    """
    cells = Cells(row, table)
    name = cells.text(roles.generator) if roles.generator else None
    name = name or options.generator
    problems = list(cells.problems)
    if name is None:
        column, message = roles.generator or "", "the row does not say which model made the image"
        fix = 'fill it in, or write generator = "NAME" under this source in release.toml'
        at = partial(Problem, Reason.UNKNOWN_GENERATOR, file=table, row=row.number, fix=fix)
        return None, [*problems, at(message, column=column)]
    generator = find_generator(name, options.generators)
    if generator is None:
        column = roles.generator or ""
        problem = unknown_generator(name, options.generators, file=table, row=row.number, column=column)
        return None, [*problems, problem]
    texts = [cells.text(column) if column else None for column in (roles.prompt, roles.original_prompt)]
    problems = list(cells.problems)
    prompt, noted = read_prompt(texts[0] or "", roles.prompt or "", table, row.number, options.null_texts)
    if roles.prompt:
        problems += noted
    known = {*filter(None, (getattr(roles, role) for role in _ROLES)), *roles.ignored}
    others = {
        column: value
        for column, value in row.cells.items()
        if column not in known and value is not None and value != ""
    }
    value = row.cells.get(roles.configs) if roles.configs else None
    said, config, wrong = _read_configs(value, others, cells)
    problems += wrong or [problem for problem in cells.problems if problem not in problems]
    settings, wrong = (None, []) if wrong else _validate(generator, said, config, table, row.number)
    problems += wrong
    original = texts[1] or asked_prompt(settings)
    text = ImageText(prompt, original, generator.name, settings, config, digital_source_type_of(generator))
    return text, problems


def digital_source_type_of(generator: Generator) -> str:
    """Return the IPTC term for the images of a generator, by whether it is a trained model."""
    return TRAINED_ALGORITHMIC_MEDIA if generator.is_trained else ALGORITHMIC_MEDIA


def find_image(listing: Listing, name: str, place: Place) -> tuple[ImageFile | None, list[Problem]]:
    """Return where the image is that a row names, or why there is none; `place` is the cell with its name."""
    fault = listing.fault(name)
    if fault is None:
        return listing.file(name), []
    return None, [place.problem(fault.reason, fault.message, value=name, fix=fault.fix)]


def stray_image(source: str, name: str, table: str) -> InputRow:
    """Make the row of an image that no row of a table names."""
    message = f"no row of {table} names this image"
    fix = "add a row for it, or move it out of the folder"
    problem = Problem(Reason.IMAGE_WITHOUT_ROW, message, file=name, fix=fix)
    return InputRow(source, name, None, "", name, ImageInput(None, None), (problem,))


def asked_prompt(settings: OpenSettings | None) -> str | None:
    """Return the prompt that was asked for, as the settings of DALL-E 3 have it.

    In the settings of other generators, such a key may have any value.
    """
    if settings is None:
        return None
    # Not `getattr`: a model of pydantic's takes 2 µs to say that it has no such field.
    asked = vars(settings).get("orig_prompt", (settings.model_extra or {}).get("orig_prompt"))
    return asked if isinstance(asked, str) else None


def read_prompt(
    prompt: str, column: str, table: str, row: int, null_texts: Sequence[str]
) -> tuple[str | None, list[Problem]]:
    """Return a prompt, None if it is empty or means that there is none, and a warning about that."""
    settled, note = settle_prompt(prompt, null_texts)
    if note is None:
        return settled, []
    reason, message, fix = note
    value = prompt or None
    return settled, [Problem(reason, message, file=table, row=row, column=column, value=value, fix=fix)]


def parse_settings(
    generator: Generator, config: str, table: str, row: int
) -> tuple[OpenSettings | None, list[Problem]]:
    """Type settings that are written as JSON, by their generator's model.

    The whole row is rejected for one wrong setting: its provenance is in doubt. Unknown keys are kept,
    because providers add keys.
    """
    at = partial(Problem, Reason.BAD_CONFIG, file=table, row=row)
    try:
        said = parse_json(config)
        if not isinstance(said, dict):
            raise ValueError(f"it is a {type(said).__name__}")
    except ValueError as error:
        message, fix = f"the settings are not a JSON object: {error}", 'write one, such as {"seed": 1}'
        return None, [at(message, column="configs", value=config, fix=fix)]
    # Settings are published as they came, and readers of JSON differ on such numbers.
    if may_be_infinite(config) and (places := find_infinite(said)):
        message, fix = "the number is too large to be a finite number", "correct the value, or write null"
        return None, [at(message, column=f"configs.{place}", value=config, fix=fix) for place in places]
    return _validate(generator, said, config, table, row)


def _validate(
    generator: Generator, said: Mapping[str, object], config: str | None, table: str, row: int
) -> tuple[OpenSettings | None, list[Problem]]:
    if config is None:
        return None, []
    try:
        return generator.settings.model_validate(said), []
    except ValidationError as error:
        fix = "correct the value; schemas/generators.py has each setting's type and range"
        return None, [
            Problem(
                Reason.BAD_CONFIG,
                detail["msg"],
                file=table,
                row=row,
                column=".".join(map(str, ("configs", *detail["loc"]))),
                value=repr(detail["input"]),
                fix=fix,
            )
            for detail in error.errors()
        ]


def _read_configs(
    value: object, others: Mapping[str, object], cells: Cells
) -> tuple[dict[str, object], str | None, list[Problem]]:
    """Join the settings of a row and its other columns.

    Returns:
        All of them, the settings as JSON (of a row without any, the other columns), and what is wrong.
    """
    kept = parse_json(cells.extras(others) or "{}")
    said: object = value
    config = plain_json(value) if isinstance(value, Mapping) else value
    if isinstance(value, str) and value.strip():
        try:
            said = parse_json(value)
        except ValueError:
            said = None
    elif not isinstance(value, Mapping):
        said, config = {}, plain_json(kept) if kept else None
    if not isinstance(said, dict) or find_infinite(said) or not isinstance(kept, dict):
        message, fix = "the settings are not a JSON object", 'write one, such as {"seed": 1}'
        cells.wrong("configs", message, fix, Reason.BAD_CONFIG)
        return {}, None, [cells.problems[-1]]
    plain = {key: value for key, value in said.items() if value is not None}
    return {**kept, **plain}, config if isinstance(config, str) else None, []
