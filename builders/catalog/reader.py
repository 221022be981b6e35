"""Reading of sources into the catalog; every image is decoded once, in full, to look at it."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from builders.catalog import Catalog, Loose, Stored, path_of, private_texts
from builders.catalog import privacy as privacy_rules
from builders.catalog.privacy import WHAT, Finding
from builders.files import real_path
from builders.images import integrity, metadata
from builders.images.checked import CheckedImages
from builders.images.files import ImageFile, ImageRefusedError, read_image_and_state, too_large
from builders.images.integrity import ImageFacts, check_limits, inspect_image
from builders.images.known_files import now_ns
from builders.images.looking import Look, LookAtImage
from builders.images.metadata import ImageMetadata, read_metadata
from builders.parallel import IN_THREADS, Execution
from builders.sources.intake import ImageInput, InputRow, PairInput, RankingInput, RankInput, Side, Source
from schemas import secrets
from schemas.configs import Table
from schemas.manifest import SourceEntry
from schemas.preferences import public_reference
from schemas.problems import Place, Problem, Reason
from schemas.records import IMAGE_FORMATS
from schemas.settings import BuildSettings, PrivacySettings

_IMAGES_PER_TASK = 16
# A row, and what another machine saw of its image; None where this one looks at it.
_LookedAt = tuple[InputRow, Look | ImageRefusedError | None]


class FetchError(Exception):
    """An image that cannot be had from its address; the message holds no password and no query."""


# Downloads the image at an address and says where it lies; raises `FetchError`.
Fetch = Callable[[str], Path]


@dataclass(frozen=True, slots=True)
class _InspectedRow:
    """A row, and what its images and texts show.

    Attributes:
        row: With what is wrong with its images, and without columns that are not to be published.
        facts: Of the image of an image's row, if it can be published.
        files: Images that came inside of a row of preferences.
        findings: What is private in the row and its images.
    """

    row: InputRow
    facts: ImageFacts | None = None
    files: tuple[Stored | None, ...] = ()
    findings: Sequence[Finding] = ()


class SourceReader:
    """Reads sources into a catalog.

    Args:
        catalog: Empty; holds every row afterwards.
        settings: Limits for images.
        scratch: Folder of ours, for images that come inside of tables.
        execution: Looks at images, and shows progress.
        fetch: Downloads images that pairs name by address; None to leave those as they are.
        checked: Images that need not be decoded, and files that need not be read; takes in those that were.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: BuildSettings,
        scratch: Path,
        execution: Execution = IN_THREADS,
        fetch: Fetch | None = None,
        checked: CheckedImages | None = None,
    ) -> None:
        self._catalog, self._settings, self._scratch = catalog, settings, scratch
        self._map, self._track, self._fetch = execution.threads.map_ordered, execution.track, fetch
        self._images = execution.images
        self._checked = checked if checked is not None else CheckedImages()
        self._privacy = catalog.findings.check

    def read(self, sources: Iterable[Source]) -> tuple[SourceEntry, ...]:
        """Read every row of every source, look at every image, and settle the catalog.

        Returns:
            What was read of each source, with digests.

        Raises:
            SourceError: A source turns out to be damaged on the way, what is to be excluded may be several
                images, or a text or image that would be published holds a secret.
            BuildError: Two different images share an image id.
        """
        sources = tuple(sources)
        entries = [self._read_source(source) for source in sources]
        self._catalog.resolve()
        found = self._look_for_loose_images({source.name: source.images for source in sources})
        self._catalog.settle()
        return tuple(_with_loose_images(entry, found.get(entry.name, [])) for entry in entries)

    def _read_source(self, source: Source) -> SourceEntry:
        digest = hashlib.sha256(source.sha256.encode())
        num_rows = num_strays = 0
        self._catalog.add_table_problems(source.table_problems, source.table)
        inspected = self._map(self._inspect_row, self._look_elsewhere(source), chunk=_IMAGES_PER_TASK)
        seen_rows = ((row, seen) for (row, _), seen in inspected)
        for row, seen in self._track(seen_rows, f"reading {source.name}", source.num_rows):
            facts = seen.facts
            self._catalog.add(seen.row, source.table, facts, seen.files, seen.findings)
            if isinstance(row.content, ImageInput):
                line = f"{facts.sha256 if facts else '-'} {row.name}\n"
                digest.update(line.encode("utf-8", "surrogateescape"))
            num_rows, num_strays = num_rows + (row.row is not None), num_strays + (row.row is None)
        return SourceEntry(
            name=source.name,
            kind=source.kind,
            num_rows=num_rows,
            num_stray_images=num_strays,
            sha256=digest.hexdigest(),
        )

    def _look_elsewhere(self, source: Source) -> Iterator[_LookedAt]:
        """Yield the rows in order, with what other machines see of their image files, if there are any.

        Files that have not changed since an earlier run stay here, and are not opened. Others are decoded,
        known digest or not: only this machine knows it, and to ask first would read every image twice.
        """
        if self._images.shares_memory or source.table is not Table.IMAGES:
            yield from ((row, None) for row in source.rows())
            return
        rows: deque[InputRow] = deque()

        def files() -> Iterator[ImageFile | None]:
            for row in source.rows():
                rows.append(row)
                file = row.content.file if isinstance(row.content, ImageInput) else None
                yield file if file is not None and self._checked.find_file(file) is None else None

        looks = self._images.map_ordered(LookAtImage(self._settings), files(), chunk=_IMAGES_PER_TASK)
        for _, look in looks:
            yield rows.popleft(), look

    def _inspect_row(self, looked_at: _LookedAt) -> _InspectedRow:
        """Look at a row's texts and images: what they are, what is wrong with them, and what is private."""
        row, look = looked_at
        row, dropped = self._privacy.drop_columns(row)
        seen = self._inspect_images(row, look)
        findings = [*dropped, *self._privacy.inspect_row(seen.row), *seen.findings]
        if not findings:
            return seen
        refusals = self._privacy.refuse(seen.row, findings) if not seen.row.is_rejected else ()
        return replace(seen, row=_with_problems(seen.row, refusals), findings=findings)

    def _inspect_images(self, row: InputRow, look: Look | ImageRefusedError | None) -> _InspectedRow:
        content = row.content
        if isinstance(content, ImageInput) and (content.file or content.data):
            return self._inspect_image(row, content, look)
        if isinstance(content, PairInput | RankInput | RankingInput) and not row.is_rejected:
            try:
                kept = [self._keep_side(side) if side.data else (None, []) for side in content.sides]
            except ImageRefusedError as error:
                return _InspectedRow(_with_problems(row, [_refusal(row, None, error)]))
            findings = [found for _, each in kept for found in each]
            return _InspectedRow(row, None, tuple(file for file, _ in kept), findings)
        return _InspectedRow(row)

    def _inspect_image(
        self, row: InputRow, image: ImageInput, look: Look | ImageRefusedError | None
    ) -> _InspectedRow:
        try:
            if image.file is not None:
                file = image.file
                if look is not None:
                    facts, findings = self._take_over(look, row.name)
                else:
                    facts, findings = self._look_at_file(file, row.name)
            else:
                file, facts, metadata = self._keep(image.data or b"")
                findings = self._privacy.inspect_image(metadata, row.name)
        except ImageRefusedError as error:
            return _InspectedRow(_with_problems(row, [_refusal(row, "image_filename", error)]))
        if Path(row.name).suffix.lower().replace("jpeg", "jpg") != f".{IMAGE_FORMATS[facts.format]}":
            message = f"the name does not fit the image's format, {facts.format}, under which it is published"
            place = Place(file=row.file, row=row.row, column="image_filename")
            problem = place.problem(Reason.FORMAT_DIFFERS_FROM_NAME, message, value=row.name)
            row = _with_problems(row, [problem])
        return _InspectedRow(row, facts, (Stored.of(file, facts),), findings)

    def _take_over(self, look: Look | ImageRefusedError, name: str) -> tuple[ImageFacts, list[Finding]]:
        """Take over what another machine saw of an image, and look for what is private in it.

        Raises:
            ImageRefusedError: It is not one that can be published.
        """
        if isinstance(look, ImageRefusedError):
            raise look
        is_new = self._checked.find(look.facts.sha256, look.facts.num_bytes) is None
        if is_new and not look.metadata.num_bytes_after:
            self._checked.add(look.facts)
        return look.facts, self._privacy.inspect_image(look.metadata, name)

    def _look_at_file(self, file: ImageFile, name: str) -> tuple[ImageFacts, list[Finding]]:
        """Look at an image and at what is private in it; one that was looked at before is not opened.

        Raises:
            ImageRefusedError: It is not one that can be published.
        """
        facts = self._checked.find_file(file)
        if facts is not None:
            check_limits(facts, self._settings)
            return facts, []
        read_at_ns = now_ns()
        data, state = read_image_and_state(file, self._settings.max_image_bytes)
        facts, metadata = self._look_at(data)
        findings = self._privacy.inspect_image(metadata, name)
        if state is not None and not findings:
            self._checked.files.add(file, state, facts.sha256, facts.num_bytes, read_at_ns)
        return facts, findings

    def _look_at(self, data: bytes) -> tuple[ImageFacts, ImageMetadata]:
        """Decode an image in full, unless that was done before; read what it holds beside its pixels.

        Raises:
            ImageRefusedError: It is not one that can be published.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        known = self._checked.find(sha256, len(data))
        facts = inspect_image(data, sha256, self._settings, known)
        is_new = known is None
        metadata = read_metadata(data)
        # An image with other data behind it is not noted, so that each run looks through it again.
        if is_new and not metadata.num_bytes_after:
            self._checked.add(facts)
        return facts, metadata

    def _keep_side(self, side: Side) -> tuple[Stored, list[Finding]]:
        """Keep the image of one side of a pair."""
        file, facts, metadata = self._keep(side.data or b"")
        return Stored.of(file, facts), self._privacy.inspect_image(metadata, side.reference)

    def _keep(self, data: bytes) -> tuple[ImageFile, ImageFacts, ImageMetadata]:
        """Look at an image that came inside of a table, and put it into a file.

        Raises:
            ImageRefusedError: It is not one that can be published.
        """
        if len(data) > self._settings.max_image_bytes:
            raise too_large(len(data), self._settings.max_image_bytes)
        facts, metadata = self._look_at(data)
        path = self._scratch / facts.sha256
        path.write_bytes(data)
        return ImageFile(path), facts, metadata

    def _look_for_loose_images(self, folders: Mapping[str, Path | None]) -> dict[str, list[str]]:
        """Look for images that only pairs name, in the folder of their source and then at their address.

        Returns:
            Source → a line for each image found.
        """
        found: dict[str, list[str]] = {}
        places = {name: real_path(folder) for name, folder in folders.items() if folder is not None}
        if not places and self._fetch is None:
            return found
        loose = self._catalog.pairs.loose()
        wanted = [item for item in loose if item.source in places or self._fetch is not None]
        located = self._map(partial(self._find_loose_image, places), wanted)
        for item, (file, findings) in (
            self._track(located, "looking for images", len(wanted)) if wanted else ()
        ):
            self._catalog.findings.add(item.input_id, findings)
            if isinstance(file, Stored):
                self._catalog.pairs.locate(item, file)
                found.setdefault(item.source, []).append(f"{file.sha256} {item.reference}\n")
            elif file is not None:
                self._catalog.pairs.give_up(item, file)
        return found

    def _find_loose_image(
        self, folders: Mapping[str, Path], loose: Loose
    ) -> tuple[Stored | str | None, list[Finding]]:
        """Find and look at one image, and what is private in it.

        Returns:
            The file, or what is wrong if it cannot be used, or None if it is nowhere; and what was found.
        """
        folder = folders.get(loose.source)
        path = find_below(folder, loose.reference) if folder is not None else None
        try:
            if path is None and self._fetch is not None and "://" in loose.reference:
                path = self._fetch(loose.reference)
            if path is None:
                return None, []
            file = ImageFile(path)
            facts, findings = self._look_at_file(file, public_reference(loose.reference))
        except FetchError as error:
            return f"the image cannot be fetched: {error}", []
        except ImageRefusedError as error:
            return f"the image cannot be used: {error.message}", []
        if findings and self._privacy.rejects_images:
            what = ", ".join(dict.fromkeys(WHAT[found.reason] for found in findings if found.reason in WHAT))
            if what:
                return f"the image cannot be used: the file holds {what}", []
        return Stored.of(file, facts), findings


def digest_rules(privacy: PrivacySettings) -> str:
    """Digest all that decides whether an image holds private data.

    That is the code itself, since one version of the kit may have many states, and the setting that has
    every image looked through again.
    """
    digest = hashlib.sha256(privacy.images.encode())
    for module in (integrity, metadata, privacy_rules, private_texts, secrets):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def find_below(folder: Path, reference: str) -> Path | None:
    """Find the file in a folder whose path ends like a reference's, as far back as there is one.

    Args:
        folder: Resolved path; nothing outside of it is ever found, whatever the reference says.
        reference: A web address or path, such as `https://host/a/b/c.jpg`: `folder/a/b/c.jpg` is looked for,
            then `folder/b/c.jpg`, then `folder/c.jpg`.
    """
    parts = [part for part in path_of(reference) if part not in ("", ".")]
    if ".." in parts or any("\0" in part for part in parts):
        return None
    for start in range(len(parts)):
        path = folder.joinpath(*parts[start:])
        try:
            if path.is_file() and path.resolve().is_relative_to(folder):
                return path.resolve()
        except OSError:  # a name too long, a loop of links
            continue
    return None


def _with_loose_images(entry: SourceEntry, lines: list[str]) -> SourceEntry:
    """Take into a source's digest the images that its rows name and that no image source has."""
    digest = hashlib.sha256(entry.sha256.encode())
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape"))
    return entry.model_copy(update={"sha256": digest.hexdigest()}) if lines else entry


def _with_problems(row: InputRow, problems: Iterable[Problem]) -> InputRow:
    listed = tuple(problems)
    return replace(row, problems=(*row.problems, *listed)) if listed else row


def _refusal(row: InputRow, column: str | None, error: ImageRefusedError) -> Problem:
    message = f"{row.name}: {error.message}"
    return Problem(
        error.reason, message, file=row.file, row=row.row, column=column, value=error.value, fix=error.fix
    )
