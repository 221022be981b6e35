"""Search of a release's images; `publish/search.py` reads its flags.

The query is encoded by the encoder that made the release's features, which the release names.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from builders.card.figures.features import name_encoder
from builders.card.figures.galleries import GalleryRow, draw_search
from builders.features.encoder import Encoder, Features, ImageNotEncodedError, check_features, load_encoder
from builders.images.files import ImageFile, ImageRefusedError, read_image
from builders.release.embeddings import FoundRow, SearchedRelease, choose_config
from builders.release.reader import ReleaseReader
from builders.sample.encoder import EXAMPLES, sort_words, vocabulary
from publish.checks.files import check_files, read_manifest
from publish.run.results import FoundEntry, SearchResult
from publish.run.terminal import Terminal
from schemas.features import DEMO_NOTICE, FeatureSettings, Provenance
from schemas.problems import Problem, Reason, ReleaseError, SettingsError, printable

_PROMPT_CHARS = 60
_MAX_IMAGE_BYTES = 90 * 1024 * 1024
_SUFFIXES = (".jpg", ".png")
_HEADS = ("rank", "similarity", "image id", "file name", "generator", "prompt")


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: a text, or an image."""

    text: str | None
    image: Path | None

    @property
    def title(self) -> str:
        """What it is called above what was found."""
        return self.text if self.text is not None else f"images like {self.image and self.image.name}"


def search(options: argparse.Namespace, terminal: Terminal) -> int:
    """Search, show what was found, and draw it if that is asked for.

    Raises:
        KitError: The release has no features, its files are damaged, or its encoder is not at hand.
    """
    query = _read_query(options)
    _check_figure(options.figure)
    release = open_release(options.release, options.config)
    made_by = release.provenance
    if made_by.is_demonstration and query.text is not None and (note := note_unknown_words(query.text)):
        terminal.note(note)
    encoder = open_encoder(made_by, options.weights)
    hits = release.search(encode(encoder, query), options.k)
    found = [_found(rank, row) for rank, row in enumerate(release.describe(hits), 1)]
    terminal.title(f"{query.title}: {len(found)} of {len(release.image_ids):,} images")
    terminal.grid(_HEADS, [_cells(each) for each in found], num_texts=len(_HEADS))
    terminal.table([("features", release.config), ("encoder", name_encoder(made_by))])
    if made_by.is_demonstration:
        terminal.table([("note", DEMO_NOTICE)])
    if options.figure is not None:
        options.figure.parent.mkdir(parents=True, exist_ok=True)
        (images,) = release.show([hits])
        draw_search(options.figure, [GalleryRow(query.title, images)], name_encoder(made_by))
        terminal.table([("figure", str(options.figure))])
    terminal.give(
        SearchResult(
            query=query.title,
            config=release.config,
            encoder=made_by,
            num_images=len(release.image_ids),
            found=found,
        )
    )
    return 0


def open_release(folder: Path, config: str | None) -> SearchedRelease:
    """Open a release whose searched files are those of its manifest; of the others, sizes are compared.

    Raises:
        KitError: It is none, it has no features, or files are missing or damaged.
    """
    manifest = read_manifest(folder)
    release = ReleaseReader(folder, manifest.shards)
    choose_config(release.feature_configs, config)
    searched = {shard.path for shard in manifest.shards if shard.config.startswith(("prompts", "clip_"))}
    others = {entry.path for entry in manifest.all_files} - searched
    if problems := tuple(check_files(folder, manifest, others)):
        raise ReleaseError(problems)
    return SearchedRelease(release, config)


def open_encoder(provenance: Provenance, weights: Path | None) -> Encoder:
    """Load the encoder that a release's features were made with.

    Args:
        provenance: What the release says of it.
        weights: Its checkpoint; None to take what the tag names, or the demonstration encoder's own.

    Raises:
        SettingsError: It is not at hand, or the weights are other ones.
    """
    from publish.providers.weights import find_model_files  # noqa: PLC0415 - it may download, and takes a while to load

    settings = FeatureSettings(
        model=provenance.model,
        pretrained=provenance.pretrained,
        # A GPU's float16 has no counterpart on most CPUs; the difference is far below that of two images.
        dtype="auto" if provenance.dtype == "float16" else provenance.dtype,
    )
    if weights is None and not settings.is_demonstration and _is_file_name(provenance.pretrained):
        message = "the features were made with a checkpoint that the release names and does not hold"
        fix = f"give its path: --weights {provenance.pretrained}"
        raise SettingsError(_problem(message, "--weights", provenance.pretrained, fix))
    named = settings
    if weights is not None and not settings.is_demonstration:
        named = settings.model_copy(update={"weights": str(weights)})
    encoder = load_encoder(settings, find_model_files(named))
    own = encoder.provenance.weights_sha256
    if own != provenance.weights_sha256:
        message = (
            "these are not the weights that the features were made with: their SHA-256 is "
            f"{own}, and the release says {provenance.weights_sha256}"
        )
        fix = "give the right file with --weights, or use the kit's version that wrote the release"
        raise SettingsError(_problem(message, "--weights", str(weights or provenance.pretrained), fix))
    return encoder


def _read_query(options: argparse.Namespace) -> Query:
    """Take the text or the image.

    Raises:
        SettingsError: There is neither, or both, or the text is empty.
    """
    text = options.text.strip() if options.text is not None else None
    if (text is None) == (options.image is None):
        message = "give a text or an --image" if text is None else "give a text or an --image, not both"
        raise SettingsError(_problem(message, "TEXT", None, 'such as "a person with round glasses"'))
    if text == "":
        raise SettingsError(_problem("the text is empty", "TEXT", text, "say what the images should show"))
    return Query(text, options.image)


def _check_figure(path: Path | None) -> None:
    if path is not None and path.suffix not in _SUFFIXES:
        message, fix = "a figure is a .jpg or a .png", "change the name's ending"
        raise SettingsError(_problem(message, "--figure", str(path), fix))


def note_unknown_words(text: str) -> str | None:
    """Return a note on words that the demonstration encoder leaves out; None if it knows all.

    Raises:
        SettingsError: It would leave out all of them, and find the same images whatever they are.
    """
    known, unknown = sort_words(text)
    if not known:
        examples = ", ".join(f'"{example}"' for example in EXAMPLES[:3])
        message = (
            f"the demonstration encoder knows none of these words, only {len(vocabulary())} for drawn faces"
        )
        raise SettingsError(_problem(message, "TEXT", text, f"ask for what it knows, such as {examples}"))
    if not unknown:
        return None
    words = ", ".join(unknown)
    return f"The demonstration encoder does not know these words, and searches without: {words}"


def encode(encoder: Encoder, query: Query) -> Features:
    """Turn the query into a vector, (d,).

    Raises:
        SettingsError: The image cannot be read.
    """
    try:
        if query.image is None:
            vectors = encoder.encode_texts([query.title])
        else:
            vectors = encoder.encode_images([read_image(ImageFile(query.image), _MAX_IMAGE_BYTES)])
    except (ImageNotEncodedError, ImageRefusedError) as error:
        message = f"the image cannot be used: {error.message}"
        fix = "give a JPEG, PNG or WebP file"
        raise SettingsError(_problem(message, "--image", str(query.image), fix)) from error
    vector: Features = check_features(vectors, [query.title])[0]
    return vector


def _found(rank: int, row: FoundRow) -> FoundEntry:
    return FoundEntry(
        rank=rank,
        similarity=float(row.similarity),
        image_id=row.image_id,
        file_name=row.file_name,
        generator=row.generator,
        prompt=row.prompt,
    )


def _cells(found: FoundEntry) -> tuple[str, ...]:
    prompt = " ".join((found.prompt or "").split())
    short = prompt if len(prompt) <= _PROMPT_CHARS else f"{prompt[: _PROMPT_CHARS - 1]}…"
    texts = (found.image_id, found.file_name, found.generator, short)
    return (str(found.rank), f"{found.similarity:.3f}", *map(printable, texts))


def _is_file_name(pretrained: str) -> bool:
    """Whether features were made with a checkpoint file instead of a tag."""
    try:
        from builders.features.checkpoints import SUFFIXES  # noqa: PLC0415 - not everybody has the libraries
    except ImportError:
        return False  # that they are missing is told when the encoder is loaded
    return Path(pretrained).suffix in SUFFIXES


def _problem(message: str, column: str, value: str | None, fix: str) -> Problem:
    return Problem(Reason.SETTINGS, message, column=column, value=value, fix=fix)
