"""Settings of a run: flags over `release.toml`, checked as a whole before anything is read or written."""

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from builders.intake import Source
from builders.sources import SOURCES
from publish.targets import TARGETS
from schemas.problems import Problem, Reason, SettingsError, SourceError, suggest
from schemas.settings import BuildSettings, DatasetSettings

_Name = Annotated[str, Field(pattern=r"^\w[\w.-]{0,99}$")]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SourceSettings(_Settings):
    """One `[[sources]]` entry."""

    kind: str = Field(description="Key in `builders.sources.SOURCES`.")
    path: str | None = Field(None, description="The folder; the built-in sample has none.")
    name: _Name | None = Field(None, description="Name to publish it under; the folder's name if left out.")

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if self.kind not in SOURCES:
            raise ValueError(f"there is no kind of source {self.kind!r}; {suggest(self.kind, SOURCES)}")
        if (self.path is None) != (self.kind == "sample"):
            raise ValueError(
                "the sample takes no path" if self.path else f"a source of kind {self.kind!r} needs a path"
            )
        return self


class ReleaseSettings(_Settings):
    """The `[release]` table."""

    to: tuple[str, ...] = Field(("folder",), min_length=1, description="Keys in `publish.targets.TARGETS`.")
    citation: str = Field("CITATION.cff", description="Citation of the dataset.")
    changelog: str = Field("CHANGELOG.md", description="Changelog with a `## Dataset` part.")

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        for name in self.to:
            if name not in TARGETS:
                raise ValueError(f"there is no target {name!r}; {suggest(name, TARGETS)}")
        return self


class Settings(_Settings):
    """The whole of `release.toml`."""

    dataset: DatasetSettings
    build: BuildSettings = BuildSettings()
    release: ReleaseSettings = ReleaseSettings()
    sources: tuple[SourceSettings, ...]

    @field_validator("sources")
    @classmethod
    def _not_empty(cls, sources: tuple[SourceSettings, ...]) -> tuple[SourceSettings, ...]:
        # Not a length on the field: that would also be reported where an entry is merely wrong.
        if not sources:
            raise ValueError("there must be at least one source")
        return sources


def load_settings(path: Path, sfhq: Sequence[Path] = (), to: Sequence[str] = ()) -> Settings:
    """Load and check the settings.

    Args:
        path: The TOML file.
        sfhq: Folders to read in place of the configured sources.
        to: Targets to publish to in place of the configured ones.

    Raises:
        SettingsError: The file or a flag is wrong; every problem at once.
    """
    values = _read_toml(path)
    if sfhq:
        values["sources"] = [{"kind": "sfhq", "path": str(folder.absolute())} for folder in sfhq]
    if to:
        release = values.setdefault("release", {})
        if isinstance(release, dict):
            release["to"] = list(to)
    try:
        return Settings.model_validate_json(json.dumps(values, default=str))  # JSON has lists for tuples
    except ValidationError as error:
        raise SettingsError(_problem(path, detail) for detail in error.errors()) from error


def refuse_output_in_sources(settings: Settings, base: Path, out: Path) -> None:
    """Refuse to write below a folder that is only ever read.

    Raises:
        SettingsError: The output folder lies in a source.
    """
    folders = [base / source.path for source in settings.sources if source.path is not None]
    problems = [
        Problem(
            Reason.SETTINGS,
            f"the output folder lies in the source {folder}, which is only ever read",
            column="--out",
            value=str(out),
            fix="give an --out elsewhere",
        )
        for folder in folders
        if out.resolve().is_relative_to(folder.resolve())
    ]
    if problems:
        raise SettingsError(problems)


def open_sources(settings: Settings, base: Path, work: Path) -> tuple[Source, ...]:
    """Open every source.

    Args:
        settings: What to open.
        base: Folder that relative paths start from.
        work: Folder of ours, for what a source must write.

    Raises:
        SourceError: Some cannot be opened; every problem of every source at once.
        SettingsError: Two have one name.
    """
    folders = [
        work / source.kind if source.path is None else base / source.path for source in settings.sources
    ]
    names = [
        source.name or _folder_name(folder) for source, folder in zip(settings.sources, folders, strict=True)
    ]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SettingsError(_repeated_name(name) for name in repeated)
    sources, problems = [], []
    for source, folder, name in zip(settings.sources, folders, names, strict=True):
        try:
            sources.append(SOURCES[source.kind](folder, name))
        except SourceError as error:
            problems += [replace(problem, file=f"{name}: {problem.file}") for problem in error.problems]
    if problems:
        raise SourceError(problems)
    return tuple(sources)


def _folder_name(folder: Path) -> str:
    """Name a source after its folder, leaving out what is not fit for a column of the dataset."""
    return re.sub(r"[^\w.-]+", "-", folder.resolve().name).strip("-.") or "source"


def _repeated_name(name: str) -> Problem:
    return Problem(
        Reason.SETTINGS,
        "two sources have this name",
        column="sources.name",
        value=name,
        fix="give each [[sources]] entry a name of its own in release.toml",
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message, fix = f"the settings cannot be read: {error.strerror}", "give the file with --config"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message, fix = f"the settings are not TOML: {error}", "see https://toml.io"
    raise SettingsError(Problem(Reason.SETTINGS, message, file=str(path), fix=fix))


def _problem(path: Path, detail: Any) -> Problem:
    key = ".".join(str(part) for part in detail["loc"])
    message, value = detail["msg"].removeprefix("Value error, "), detail["input"]
    fix = "see the keys in schemas/settings.py and publish/settings.py"
    if detail["type"] == "extra_forbidden":
        message, value, fix = "there is no such key", None, suggest(str(detail["loc"][-1]), _all_keys())
    return Problem(
        Reason.SETTINGS,
        message,
        file=str(path),
        column=key,
        value=None if value is None or isinstance(value, dict) else str(value),
        fix=fix,
    )


def _all_keys() -> list[str]:
    models = (Settings, DatasetSettings, BuildSettings, ReleaseSettings, SourceSettings)
    return [name for model in models for name in model.model_fields]
