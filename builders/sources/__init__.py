"""The kinds of source. A new kind is one module here and one line in `SOURCES`.

Each is opened with a path, a name and options, and gives what `builders.sources.intake.Source` says.
"""

import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from builders.sources.captions import CaptionSource, has_captions, has_sidecars
from builders.sources.captions.sidecars import JSON_SUFFIX, TEXT_SUFFIXES, list_sidecars
from builders.sources.generation import GenerationSource, name_generation, open_generation
from builders.sources.images import fits as images_fit
from builders.sources.images import open_images
from builders.sources.images.folder import ImageFolderSource
from builders.sources.images.sfhq import TABLE_NAME, Origin, SfhqSource, find_table, open_sfhq_folder
from builders.sources.intake import Source, SourceOptions
from builders.sources.listing import METADATA_NAMES, FolderListing, list_files
from builders.sources.preferences import PreferenceSource, forms_of
from builders.sources.sample import LICENSE, NOTICE, write_sample
from builders.sources.tables import no_rows, open_table
from schemas.generation import GENERATION_FILE
from schemas.problems import Problem, Reason, SourceError
from schemas.records import ALGORITHMIC_MEDIA

SAMPLE_KIND = "sample"
_PAIR_IMAGES = {"jpg_0", "jpg_1"}
Open = Callable[[Path, str, SourceOptions], tuple[Source, ...]]


def _open_sample(folder: Path, name: str, options: SourceOptions) -> tuple[Source, ...]:
    """Draw the built-in sample into `folder`, which is ours to write, and open its three parts."""
    write_sample(folder)
    images = SfhqSource(
        find_table(folder),
        FolderListing(folder),
        name,
        origin=Origin(SAMPLE_KIND, ALGORITHMIC_MEDIA, NOTICE),
    )
    captions = CaptionSource(folder / "captions.jsonl", f"{name}-captions", options)
    options = replace(options, license=LICENSE, prompt_license=LICENSE)
    return images, captions, PreferenceSource(folder / "preferences.jsonl", f"{name}-preferences", options)


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A kind of source.

    Attributes:
        open: Opens a path as one source, or as several.
        fits: Whether a path has this kind, by its content; raises `SourceError` for a file that
            cannot be read.
    """

    open: Open
    fits: Callable[[Path], bool]


def _is_sfhq(path: Path) -> bool:
    if not path.is_dir():
        return False
    return (path / TABLE_NAME).is_file() or (not _has_metadata(path) and bool(list_files(path, (".csv",))))


def _is_captions(path: Path) -> bool:
    if not path.is_dir():
        table = open_table(path)
        # An export for Diffusion-DPO has ids and captions, and the captions are prompts of its pairs.
        is_pairs = set(table.columns) >= _PAIR_IMAGES
        return not is_pairs and has_captions(table.columns, is_mapping=table.is_mapping)
    if (path / TABLE_NAME).is_file():
        return False
    return _has_metadata(path) or has_sidecars(path)


def _is_preferences(path: Path) -> bool:
    return not path.is_dir() and bool(forms_of(open_table(path)))


def _has_metadata(folder: Path) -> bool:
    return any((folder / name).is_file() for name in METADATA_NAMES)


def _open_sfhq(folder: Path, name: str, options: SourceOptions) -> tuple[Source, ...]:
    """Open an SFHQ-T2I folder, and what it says of the requests that led to its images."""
    return open_sfhq_folder(folder, name, options), *open_generation(folder, name)


def _open_images(path: Path, name: str, options: SourceOptions) -> tuple[Source, ...]:
    """Open images, and what the files beside them say: captions, sidecars, or requests."""
    images, listing = open_images(path, name, options)
    if listing is not None and isinstance(images, SfhqSource):
        if GENERATION_FILE not in listing.find((GENERATION_FILE,)):
            return (images,)
        return images, GenerationSource(listing.open(GENERATION_FILE), name_generation(name), name)
    if listing is None or not isinstance(images, ImageFolderSource):
        return (images,)
    options = replace(options, of=name)
    name = f"{name}-captions"
    if images.caption_table is not None:
        return images, CaptionSource(images.caption_table, name, options)
    if not path.is_dir():
        path = listing.copy_files((*TEXT_SUFFIXES, JSON_SUFFIX))
    if list_sidecars(path):
        return images, CaptionSource(path, name, replace(options, form="sidecars"))
    return (images,)


SOURCES: Mapping[str, SourceKind] = {
    SAMPLE_KIND: SourceKind(_open_sample, lambda _: False),
    "sfhq": SourceKind(_open_sfhq, _is_sfhq),
    "images": SourceKind(_open_images, images_fit),
    "captions": SourceKind(lambda path, name, options: (CaptionSource(path, name, options),), _is_captions),
    "preferences": SourceKind(
        lambda path, name, options: (PreferenceSource(path, name, options),), _is_preferences
    ),
}


def open_source(kind: str | None, path: Path, name: str, options: SourceOptions) -> tuple[Source, ...]:
    """Open what lies at a path.

    Args:
        kind: A key of `SOURCES`; None to tell it from the content.
        path: A file or folder.
        name: Name to publish it under.
        options: What the maintainer says of it.

    Raises:
        SourceError: It cannot be read, its kind cannot be told, or it has no rows.
    """
    try:
        if kind != SAMPLE_KIND:  # which is ours to write
            _check_path(path)
        sources = SOURCES[kind or tell_kind(path)].open(path, name, options)
    except OSError as error:  # of a folder: what reads a file says more of it
        message, fix = f"it cannot be read: {error.strerror}", "check the path and its permissions"
        place = str(error.filename or path)
        raise SourceError(Problem(Reason.SOURCE, message, file=place, fix=fix)) from error
    for source in sources:
        if source.num_rows == 0 and all(row.row is None for row in source.rows()):  # strays have no row
            raise SourceError(no_rows(str(path)))
    return sources


def _check_path(path: Path) -> None:
    """Refuse a path at which there can be no source of any kind; a missing one is left to each kind.

    Raises:
        OSError: It cannot be read, such as a link that leads back to itself.
        SourceError: It is a pipe or a device, or a folder with nothing in it.
    """
    at = partial(Problem, Reason.SOURCE, file=str(path))
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):  # the latter is a folder in an archive
        return
    if stat.S_ISDIR(mode):
        if next(path.iterdir(), None) is None:
            raise SourceError(
                at("the folder is empty", fix="check the path, and that everything was unpacked")
            )
    elif not stat.S_ISREG(mode):
        fix = "save what comes out of it as a file"
        raise SourceError(at("this is not a regular file, but a pipe or a device", fix=fix))


def tell_kind(path: Path) -> str:
    """Return the kind of source that a path has, by its content.

    Raises:
        SourceError: It has none or several, or cannot be read.
    """
    kinds, refusals = [], []
    for name, kind in SOURCES.items():
        try:
            kinds += [name] if kind.fits(path) else []
        except SourceError as error:  # one kind may know a file that is no table to the others
            refusals.append(error)
    if refusals and not kinds:
        raise refusals[0]
    if len(kinds) == 1:
        return kinds[0]
    choices = " or ".join(f'kind = "{kind}"' for kind in kinds or list(SOURCES)[1:])
    message = f"this may be {' or '.join(kinds)}" if kinds else "this is no kind of source that the kit knows"
    fix = f"say which in release.toml, [[sources]]: {choices}"
    raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix))
