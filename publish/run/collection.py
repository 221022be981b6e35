"""The images of a collection, for commands that look at them before a release.

Sources are read as a release reads them, so that what is looked at is what a release would publish.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from builders.catalog import Catalog
from builders.catalog.reader import SourceReader
from builders.features.encoder import Encoder
from builders.features.screening import Candidate, list_candidates
from builders.features.store import FEATURES_NAME
from builders.files import real_path
from builders.images.checked import CHECKED_NAME, CheckedImages
from builders.parallel import IN_THREADS, Track
from builders.sources import SAMPLE_KIND
from builders.sources.exclusions import read_exclusions
from builders.sources.images.sfhq import TABLE_NAME
from builders.sources.intake import Source
from publish.run import decide
from publish.run.encoders import open_encoders
from publish.run.settings import Flags, Settings, open_sources
from publish.run.workspace import lock_output
from schemas.configs import Table
from schemas.features import DEMO_MODEL, DEMO_TAG, FeatureSettings
from schemas.generators import generators_with
from schemas.problems import Problem, Reason, SettingsError, SourceError

_DRAWN = "drawn"  # the generator of the kit's portraits, which the demonstration encoder knows
_WORK = ".work-"


@dataclass(frozen=True, slots=True)
class Collection:
    """The images that a release would publish.

    Attributes:
        catalog: Settled.
        candidates: The images in the order of their ids.
        encoder: Config and encoder of `[[features]]`, or the demonstration encoder for drawn faces; None
            without either.
        are_drawn: Whether the kit drew all images.
    """

    catalog: Catalog
    candidates: Sequence[Candidate]
    encoder: tuple[str, Encoder] | None
    are_drawn: bool


def collection_flags(options: argparse.Namespace) -> Flags:
    """Return what the command line says of the settings.

    Raises:
        SettingsError: A generator is named, and no source.
    """
    if options.generator and not options.sources:
        message, fix = "a generator is named, and no source", "name the source, or leave out --generator"
        problem = Problem(Reason.SETTINGS, message, column="--generator", value=options.generator, fix=fix)
        raise SettingsError(problem)
    is_sfhq = [(path, (path / TABLE_NAME).is_file()) for path in options.sources]
    return Flags(
        sfhq=[path for path, is_folder in is_sfhq if is_folder],
        images=[path for path, is_folder in is_sfhq if not is_folder],
        generator=options.generator,
    )


def refuse_places_in_sources(
    settings: Settings, base: Path, places: Mapping[str, Path | None]
) -> Iterator[Problem]:
    """Refuse to write into a source.

    Args:
        settings: Name the sources.
        base: Folder that relative paths start from.
        places: Flag → where a command writes for it; None if the flag is not given.
    """
    folders = settings.source_paths(base)
    for flag, place in places.items():
        if place is not None:
            for problem in decide.refuse_output_in_sources(folders, place):
                yield replace(
                    problem, column=flag, fix=f"give {'an' if flag == '--out' else 'a'} {flag} elsewhere"
                )


@contextmanager
def open_folders(out: Path, cache: Path) -> Iterator[Path]:
    """Lock the output folder and the cache, and yield a folder in `out` for the run, removed afterwards.

    An output folder that the run made goes, too, if the run fails before it measures an image.
    """
    is_new = not out.exists()
    try:
        with ExitStack() as stack:
            for folder in dict.fromkeys(map(real_path, (out, cache))):
                stack.enter_context(lock_output(folder))
            for left in out.glob(f"{_WORK}*"):  # of a run that was killed
                shutil.rmtree(left)
            work = Path(tempfile.mkdtemp(prefix=_WORK, dir=out))
            stack.callback(shutil.rmtree, work, ignore_errors=True)
            yield work
    except (SettingsError, SourceError):
        if is_new and not (out / FEATURES_NAME).exists():  # measuring may have taken hours
            shutil.rmtree(out, ignore_errors=True)
        raise


@contextmanager
def open_collection(
    settings: Settings, base: Path, work: Path, cache: Path, track: Track
) -> Iterator[Collection]:
    """Read the images of the sources, and load the encoder that fits them.

    Args:
        settings: Name sources, exclusions and encoders.
        base: Folder that relative paths start from.
        work: Folder of this run.
        cache: Has digests of images that need not be decoded again.
        track: Shows progress.

    Raises:
        SettingsError: The encoder is wrong; reported before anything is read.
        SourceError: A source is damaged, or its generators are unknown.
    """
    sources = [source for source in open_sources(settings, base, work) if source.table is Table.IMAGES]
    named = choose_encoder(settings)
    encoders = _load(settings, named, base, sources) if named is not None else {}
    listed = settings.release.exclusions
    exclusions = read_exclusions(base / listed) if listed is not None else None
    generators = generators_with(settings.generators)
    catalog = Catalog(work / "catalog.sqlite", {}, exclusions, generators, settings.privacy)
    with closing(catalog):
        _read(catalog, sources, settings, work, cache, track)
        candidates = list_candidates(catalog)
        is_sample = all(source.kind == SAMPLE_KIND for source in sources)
        are_drawn = bool(candidates) and (is_sample or all(one.generator == _DRAWN for one in candidates))
        if named is None and are_drawn:
            demo = FeatureSettings(model=DEMO_MODEL, pretrained=DEMO_TAG, allow_demonstration=True)
            encoders = _load(settings, demo, base, sources)
        yield Collection(catalog, candidates, next(iter(encoders.items()), None), are_drawn)


def choose_encoder(settings: Settings) -> FeatureSettings | None:
    """Return the encoder that decides which images are near-duplicates; None without [[features]]."""
    wanted = settings.near_duplicates.features if settings.near_duplicates else None
    return next((each for each in settings.features if wanted in (None, each.config)), None)


def _load(
    settings: Settings, named: FeatureSettings, base: Path, sources: Sequence[Source]
) -> Mapping[str, Encoder]:
    return open_encoders(settings.model_copy(update={"features": (named,)}), base, sources)


def _read(
    catalog: Catalog, sources: Sequence[Source], settings: Settings, work: Path, cache: Path, track: Track
) -> None:
    scratch = work / "embedded"
    scratch.mkdir()
    with CheckedImages(cache / CHECKED_NAME) as checked:
        execution = replace(IN_THREADS, track=track)
        SourceReader(catalog, settings.build, scratch, execution, None, checked).read(sources)
    if problems := tuple(decide.refuse_unknown_generators(catalog.ledger.unknown_generators())):
        raise SourceError(problems)
