"""Settings of a run: flags over `release.toml`, checked as a whole before anything is read or written."""

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from builders.files import real_path
from builders.sample.encoder import EXAMPLES
from builders.sources import SAMPLE_KIND, SOURCES, open_source
from builders.sources.intake import Source, SourceOptions
from builders.sources.sample import ABOUT
from publish.clusters.settings import RunSettings
from publish.hosts import FOLDER, HOSTS, TARGETS
from publish.hosts.protocol import HostTable
from publish.run.caption_settings import CaptionSettings
from publish.run.dataset_rules import refuse_dataset
from publish.run.generation_settings import GenerationSettings
from publish.run.generator_rules import refuse_generators
from schemas.configs import Format, Table
from schemas.features import DEMO_MODEL, FeatureSettings, Provenance
from schemas.generators import DeclaredGenerator
from schemas.problems import Problem, Reason, SettingsError, SourceError, suggest
from schemas.settings import (
    BuildSettings,
    ContentSettings,
    DatasetSettings,
    DuplicateSettings,
    PreferenceSettings,
    PrivacySettings,
    SearchSettings,
)

ANNOTATOR_KEY = "SFHQ_ANNOTATOR_KEY"
_MIN_KEY_BYTES = 16
_Name = Annotated[str, Field(pattern=r"^\w[\w.-]{0,99}$")]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SourceSettings(_Settings):
    """One `[[sources]]` entry."""

    kind: str | None = Field(
        None, description="Key in `builders.sources.SOURCES`; needed only where it cannot be told."
    )
    path: str | None = Field(
        None, min_length=1, description="The file or folder; the built-in sample has none."
    )
    name: _Name | None = Field(None, description="Name to publish it under; its path's name if left out.")
    form: str | None = Field(None, description="Form of captions or preferences, where it cannot be told.")
    columns: dict[Literal["image", "caption", "prompt", "generator", "configs", "original_prompt"], str] = (
        Field(default_factory=dict, description="Column for each role, where it cannot be told.")
    )
    generator: str | None = Field(
        None, min_length=1, description="Model that made all images whose rows do not say it."
    )
    of: str | None = Field(None, description="Source whose images are meant, where names are ambiguous.")
    images: str | None = Field(None, description="Folder of images that preferences name by address.")
    null_texts: tuple[str, ...] = Field(
        (), description='Prompts of images or votes that mean that there is none, such as ["nan"].'
    )
    license: str | None = Field(None, description="Terms of the votes.")
    prompt_license: str | None = Field(None, description="Terms of the prompts of the votes.")

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if self.kind is not None and self.kind not in SOURCES:
            raise ValueError(f"there is no kind of source {self.kind!r}; {suggest(self.kind, SOURCES)}")
        if (self.path is None) != (self.kind == SAMPLE_KIND):
            raise ValueError("the sample takes no path" if self.path else "a source needs a path")
        return self


class ReleaseSettings(_Settings):
    """The `[release]` table."""

    to: tuple[str, ...] = Field(
        (FOLDER,), min_length=1, description="Names in `publish.hosts.TARGETS`; the folder always is one."
    )
    citation: str = Field("CITATION.cff", description="Citation of the dataset.")
    changelog: str = Field("CHANGELOG.md", description="Changelog with a `## Dataset` part.")
    exclusions: str | None = Field(
        None, description="CSV with the columns image and reason: images that are not published."
    )
    formats: Mapping[str, tuple[Format, ...]] = Field(
        {},
        description='Target → what it is given. Where it is not said, the folder has "parquet" and '
        '"webdataset", and hosts the default formats of their kind that the folder has.',
    )

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        for name in (*self.to, *self.formats):
            if name not in TARGETS:
                raise ValueError(f"there is no target {name!r}; {suggest(name, TARGETS)}")
        for name, formats in self.formats.items():
            if Format.PARQUET not in formats:
                raise ValueError(f"the formats of {name} lack 'parquet', which every target is given")
            for each in formats:
                if name in HOSTS and (why := HOSTS[name].why_not(each)) is not None:
                    raise ValueError(f"the formats of {name} hold {each.value!r}, {why}")
            if not set(formats) <= set(self.formats.get(FOLDER, Format)):
                raise ValueError(
                    f"the formats of {name} hold what those of folder lack, where hosts' files lie"
                )
        return self

    @property
    def target_formats(self) -> Mapping[str, tuple[Format, ...]]:
        """Every target's formats; not only of `to`, so that a release is the same wherever it goes."""
        built = tuple(each for each in Format if each in self.formats.get(FOLDER, Format))
        default = {FOLDER: built, **{name: kind.default_formats for name, kind in HOSTS.items()}}
        given = {name: self.formats.get(name, default[name]) for name in TARGETS}
        return {name: tuple(each for each in built if each in formats) for name, formats in given.items()}

    @property
    def hosts(self) -> tuple[str, ...]:
        """The targets but the folder, which is always one, each once and in the order that they are told."""
        return tuple(name for name in dict.fromkeys(self.to) if name != FOLDER)


if TYPE_CHECKING:
    _HostTables = _Settings  # whose fields, one for each host, nothing reads by name
else:
    _HostTables = create_model(
        "_HostTables",
        __base__=_Settings,
        **{
            kind.settings_key: (kind.settings | None, None if kind.needs_table else kind.settings())
            for kind in HOSTS.values()
        },
    )


class Settings(_HostTables):
    """The whole of `release.toml`."""

    dataset: DatasetSettings
    build: BuildSettings = BuildSettings()
    preferences: PreferenceSettings = PreferenceSettings()
    privacy: PrivacySettings = PrivacySettings()
    release: ReleaseSettings = ReleaseSettings()
    run: RunSettings = RunSettings()
    features: tuple[FeatureSettings, ...] = Field((), description="Encoders whose features are published.")
    near_duplicates: DuplicateSettings | None = Field(
        None,
        description="When images are near-duplicates, by perceptual hash and by one encoder's features; they "
        "are looked for if this or features are there.",
    )
    search: SearchSettings | None = Field(
        None, description="What is searched for in figures; if missing, what the encoders understand."
    )
    generators: tuple[DeclaredGenerator, ...] = Field(
        (), description="Models of images, or of pairs, that the kit does not know."
    )
    generation: GenerationSettings = Field(
        GenerationSettings(), description="What `sfhq generate` does; a release does not depend on it."
    )
    captions: CaptionSettings = Field(
        CaptionSettings(), description="What `sfhq caption` does; a release does not depend on it."
    )
    sources: tuple[SourceSettings, ...]

    @property
    def has_sample(self) -> bool:
        """Whether the built-in sample is read."""
        return any(source.kind == SAMPLE_KIND for source in self.sources)

    def source_paths(self, base: Path) -> tuple[Path, ...]:
        """Return every file and folder that is only ever read; relative paths start from `base`."""
        places = (place for source in self.sources for place in (source.path, source.images))
        return tuple(base / place for place in places if place is not None)

    @property
    def host_tables(self) -> Mapping[str, HostTable]:
        """Table of each host that a release goes to, by the host's name; `load_settings` sees to it."""
        return {name: getattr(self, HOSTS[name].settings_key) for name in self.release.hosts}

    def content_with(self, features: Mapping[str, Provenance]) -> ContentSettings:
        """Return what the content of a release depends on.

        Args:
            features: Config → its encoder, which must be loaded to be known.
        """
        limits = self.near_duplicates or (DuplicateSettings() if self.features else None)
        if limits is not None and limits.features is None and self.features:
            limits = limits.model_copy(update={"features": self.features[0].config})  # it is the only one
        return ContentSettings(
            dataset=self.dataset.model_copy(update=ABOUT) if self.has_sample else self.dataset,
            build=self.build,
            preferences=self.preferences,
            privacy=self.privacy,
            formats=self.release.target_formats,
            near_duplicates=limits,
            search=(self.search or self._default_search) if self.features else None,
            features=features,
            generators=self.generators,
        )

    @property
    def _default_search(self) -> SearchSettings:
        """The kit's queries; the demonstration encoder, if alone, is asked for what it has words for."""
        is_demonstration = all(each.is_demonstration for each in self.features)
        return SearchSettings(queries=EXAMPLES) if is_demonstration else SearchSettings()

    @field_validator("sources")
    @classmethod
    def _not_empty(cls, sources: tuple[SourceSettings, ...]) -> tuple[SourceSettings, ...]:
        # Not a length on the field: that would also be reported where an entry is merely wrong.
        if not sources:
            raise ValueError("there must be at least one source")
        return sources


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says of the settings; see `publish.release` for each flag."""

    sfhq: Sequence[Path] = ()
    images: Sequence[Path] = ()
    generator: str | None = None
    captions: Sequence[Path] = ()
    preferences: Sequence[Path] = ()
    to: Sequence[str] = ()
    executor: str | None = None


NO_FLAGS = Flags()


def load_settings(path: Path, flags: Flags = NO_FLAGS) -> Settings:
    """Load and check the settings.

    Args:
        path: The TOML file.
        flags: SFHQ folders and other images take the place of the configured sources, and of the
            demonstration encoder with them; captions and preferences are added to the sources, and targets
            and the executor take the place of the configured ones.

    Raises:
        SettingsError: The file or a flag is wrong; every problem at once.
    """
    values = _read_toml(path)
    if flags.sfhq or flags.images:
        values["sources"] = []
        _leave_out_demonstration(values)
    sources = values.setdefault("sources", [])
    if isinstance(sources, list):
        for kind in ("sfhq", "images", "captions", "preferences"):
            said = {"kind": kind} | (
                {"generator": flags.generator} if kind == "images" and flags.generator else {}
            )
            sources += [said | {"path": str(place.absolute())} for place in getattr(flags, kind)]
    said_of = {("release", "to"): list(flags.to), ("run", "executor"): flags.executor}
    for (name, key), value in said_of.items():
        if value and isinstance(table := values.setdefault(name, {}), dict):
            table[key] = value
    problems = list(_host_problems(path, values))
    try:
        settings = Settings.model_validate_json(json.dumps(values, default=str))  # JSON has lists for tuples
    except ValidationError as error:
        raise SettingsError([*(_problem(path, detail) for detail in error.errors()), *problems]) from error
    problems += [*_repeated_features(path, settings.features), *_undecided_features(path, settings)]
    problems += refuse_dataset(settings.dataset, str(path))
    problems += refuse_generators(settings.generators, str(path))
    if problems:
        raise SettingsError(problems)
    return settings


def _leave_out_demonstration(values: dict[str, Any]) -> None:
    """Leave out the encoder that knows the built-in sample only, where that is not read."""

    def is_kept(table: Any) -> bool:
        is_table = isinstance(table, dict)
        return not is_table or table.get("model") != DEMO_MODEL or bool(table.get("allow_demonstration"))

    if isinstance(features := values.get("features"), list):
        values["features"] = [table for table in features if is_kept(table)]


def _host_problems(path: Path, values: Mapping[str, Any]) -> Iterator[Problem]:
    """Hold what is said of each host against its rules, whatever else is wrong with the settings."""
    release = values.get("release")
    to = release.get("to") if isinstance(release, dict) else None
    for kind in HOSTS.values():
        key, table = kind.settings_key, values.get(kind.settings_key)
        if table is None:
            if kind.needs_table and isinstance(to, list) and kind.name in to:
                message = f"publishing to {kind.title} needs this table"
                fix = "add it: the shipped release.toml shows how"
                yield Problem(Reason.SETTINGS, message, file=str(path), column=key, fix=fix)
            continue
        try:
            settings = kind.settings.model_validate_json(json.dumps(table, default=str))
        except ValidationError:
            continue  # told with all the others
        for problem in settings.problems():
            yield replace(problem, file=str(path), column=f"{key}.{problem.column}")


def _repeated_features(path: Path, features: Sequence[FeatureSettings]) -> Iterator[Problem]:
    """Refuse two encoders whose configs have one name."""
    names = [each.config for each in features]
    for name in sorted({name for name in names if names.count(name) > 1}):
        message, fix = "two encoders have a config of this name", 'give one of them another: name = "clip_…"'
        yield Problem(Reason.SETTINGS, message, file=str(path), column="features.name", value=name, fix=fix)


def _undecided_features(path: Path, settings: Settings) -> Iterator[Problem]:
    """Refuse to guess whose vectors say what a near-duplicate is: a threshold is one encoder's."""
    names = list(dict.fromkeys(each.config for each in settings.features))
    wanted = settings.near_duplicates.features if settings.near_duplicates else None
    if wanted is None and len(names) > 1:
        message = "there are several encoders, and one must decide which images are near-duplicates"
        fix = f"name its config, as features of [near_duplicates]: {', '.join(names)}"
    elif wanted is not None and wanted not in names:
        message = "no encoder has a config of this name"
        fix = suggest(wanted, names) if names else "leave it out: there are no [[features]]"
    else:
        return
    yield Problem(
        Reason.SETTINGS,
        message,
        file=str(path),
        row=None,
        column="near_duplicates.features",
        value=wanted,
        fix=fix,
    )


def open_sources(settings: Settings, base: Path, work: Path) -> tuple[Source, ...]:
    """Open every source.

    Args:
        settings: What to open.
        base: Folder that relative paths start from.
        work: Folder of ours, for what a source must write.

    Raises:
        SourceError: Some cannot be opened; every problem of every source at once.
        SettingsError: Two have one name, or the key for annotators' names is too short.
    """
    paths = [work / "sample" if source.path is None else base / source.path for source in settings.sources]
    names = _names(settings.sources, paths)
    key = _annotator_key()
    sources: list[Source] = []
    problems: list[Problem] = []
    for source, path, name in zip(settings.sources, paths, names, strict=True):
        options = SourceOptions(
            form=source.form,
            columns={str(role): column for role, column in source.columns.items()},
            of=source.of,
            images=base / source.images if source.images is not None else None,
            generator=source.generator,
            null_texts=source.null_texts,
            scratch=work / "archives",
            license=source.license,
            prompt_license=source.prompt_license,
            annotator_key=key,
            publish_annotators=settings.preferences.publish_annotators,
            generators=tuple(each.generator for each in settings.generators),
        )
        try:
            sources += open_source(source.kind, path, name, options)
        except SourceError as error:
            problems += [replace(problem, file=f"{name}: {problem.file}") for problem in error.problems]
    problems += _unknown_sources(settings.sources, sources) if not problems else []
    if problems:
        raise SourceError(problems)
    return tuple(sources)


def _names(settings: Sequence[SourceSettings], paths: Sequence[Path]) -> list[str]:
    """Name each source: as it is told, or after its path; after its folder, too, where two would be equal.

    Raises:
        SettingsError: Two have one name all the same.
    """
    names = [source.name or _path_name(path, path.name) for source, path in zip(settings, paths, strict=True)]
    names = [
        _path_name(path, f"{real_path(path).parent.name}-{path.name}")
        if names.count(name) > 1 and source.name is None and not path.is_dir()
        else name
        for source, path, name in zip(settings, paths, names, strict=True)
    ]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SettingsError(_repeated_name(name) for name in repeated)
    return names


def _annotator_key() -> bytes | None:
    """Take the secret for annotators' names from the environment.

    Raises:
        SettingsError: It is short enough to be guessed.
    """
    key = os.environ.get(ANNOTATOR_KEY, "").encode()
    if 0 < len(key) < _MIN_KEY_BYTES:
        message = f"the secret has {len(key)} bytes, and at least {_MIN_KEY_BYTES} are needed"
        fix = "make one: python -c 'import secrets; print(secrets.token_hex())'"
        raise SettingsError(Problem(Reason.SETTINGS, message, column=ANNOTATOR_KEY, fix=fix))
    return key or None


def _unknown_sources(settings: Sequence[SourceSettings], sources: Sequence[Source]) -> Iterator[Problem]:
    """Refuse an `of` that names no source of images."""
    names = [source.name for source in sources if source.table is Table.IMAGES]
    for source in settings:
        if source.of is not None and source.of not in names:
            fix = suggest(source.of, names)
            message = "there is no source of images with this name"
            yield Problem(Reason.SETTINGS, message, column="sources.of", value=source.of, fix=fix)


def _path_name(path: Path, name: str) -> str:
    """Name a source after its path, leaving out what is not fit for a column of the dataset."""
    if path.is_dir():
        return re.sub(r"[^\w.-]+", "-", real_path(path).name).strip("-.") or "source"
    return re.sub(r"[^\w.-]+", "-", name.rpartition(".")[0] or name).strip("-.") or "source"


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
    fix = "see the keys in schemas/settings.py and publish/run/settings.py"
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
    models: tuple[type[BaseModel], ...] = (
        *(Settings, DatasetSettings, BuildSettings, PreferenceSettings, PrivacySettings),
        *(ReleaseSettings, RunSettings, SourceSettings, FeatureSettings, DuplicateSettings, SearchSettings),
        *(DeclaredGenerator, GenerationSettings),
        *(kind.settings for kind in HOSTS.values()),
    )
    return [name for model in models for name in model.model_fields]
