"""Collections of images, in the forms that people have them in; each is told from its content.

    sfhq        a table SFHQ_T2I_dataset.csv beside its images
    folder      an image folder, with `metadata.*` or without
    datasets    Parquet files with images in them, or a folder of `save_to_disk`
    webdataset  tars of samples, such as img2dataset writes

The first two may be in a zip or tar, which is not unpacked.
"""

from pathlib import Path

from builders.sources.archives import ArchiveListing, refuse_compressed, split_archive
from builders.sources.images.datasets import DatasetsSource, find_tables, has_images
from builders.sources.images.folder import ImageFolderSource
from builders.sources.images.sfhq import TABLE_NAME, Origin, SfhqSource
from builders.sources.images.webdataset import WebDatasetSource, find_tars
from builders.sources.intake import Source, SourceOptions
from builders.sources.listing import METADATA_NAMES, FolderListing, Listing
from schemas.problems import Problem, Reason, SourceError, name_some

_MAX_NAMED = 5
_FOLDER = "images/folder"
_SFHQ = Origin("images/sfhq")


def fits(path: Path) -> bool:
    """Return whether a path can be opened as images, by its content."""
    if split_archive(path) is not None:
        return True
    if not path.is_dir():
        return has_images(path)
    if (path / TABLE_NAME).is_file():
        return False  # of its own kind
    return bool(find_tars(path) or find_tables(path)) or _has_images_below(path)


def open_images(path: Path, name: str, options: SourceOptions) -> tuple[Source, Listing | None]:
    """Open what lies at a path as images.

    Args:
        path: A file, a folder, or an archive with the folder in it that is meant, such as `faces.zip/part`.
        name: Name to publish it under.
        options: What the maintainer says of it.

    Returns:
        The source, and the listing of its files where it is a folder or an archive of files.

    Raises:
        SourceError: It cannot be read.
    """
    is_folder = any((path / name).is_file() for name in (TABLE_NAME, *METADATA_NAMES))
    if not is_folder and (tars := find_tars(path)):
        return WebDatasetSource(tars, name, options), None
    if not is_folder and (tables := find_tables(path)):
        return DatasetsSource(tables, name, options), None
    listing = _list(path, name, options)
    sfhq = listing.find((TABLE_NAME,))
    if TABLE_NAME in sfhq:
        return SfhqSource(listing.open(TABLE_NAME), listing, name, options, _SFHQ), listing
    if sfhq and not listing.find(METADATA_NAMES):
        folders = name_some((f"{path}/{table.rpartition('/')[0]}" for table in sfhq), _MAX_NAMED)
        message, fix = f"{TABLE_NAME} is in a folder below", f"give that folder: {folders}"
        raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix))
    return ImageFolderSource(listing, name, options, _FOLDER), listing


def _list(path: Path, name: str, options: SourceOptions) -> Listing:
    """List the files of a folder or an archive.

    Raises:
        SourceError: It is neither.
    """
    if path.is_dir():
        return FolderListing(path)
    if (split := split_archive(path)) is not None:
        return ArchiveListing(*split, options.scratch / name)
    if path.is_file() and (problem := refuse_compressed(path)) is not None:
        raise SourceError(problem)
    message, fix = "there is no such file or folder", "check the path"
    if path.is_file():
        message = "the file holds no images"
        fix = "give a folder, a zip, a tar, Parquet with images, or a folder of save_to_disk"
    raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix))


def _has_images_below(path: Path) -> bool:
    """Return whether a folder has an image in it or in a folder below."""
    return next(FolderListing(path).strays(), None) is not None
