"""Find the files that an encoder is loaded from: a checkpoint, and where needed those for its texts.

A tag of open_clip's names a repository on the Hub. Its file is downloaded once, into the Hub client's own
cache, and only because the settings name the tag. Which bytes came is recorded by their SHA-256.

Some models take their tokenizer, or the kind of their text tower, from another repository, which open_clip's
configuration of the model names. Those files follow the same rule: a tag downloads them. For a checkpoint
without a tag they must be in the Hub client's cache.
"""

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

from builders.features.encoder import ModelFiles
from schemas.features import DEMO_TAG, FeatureSettings
from schemas.problems import Problem, Reason, SettingsError, printable, suggest

_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_ONLINE = "be online the first time (HF_HUB_OFFLINE must not be set)"
_OFFLINE = f'{_ONLINE}, or give weights = "path" where the file is'
_TEXT_CONFIG = "config.json"
# What tokenizers of transformers read; a folder of a tokenizer holds at least one of these.
_VOCABULARIES = (
    *("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model"),
    "tokenizer.model",
)
# Names in full, so that neither weights nor code nor pickles of such a repository are downloaded.
_TEXT_FILES = (
    *(_TEXT_CONFIG, *_VOCABULARIES),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt"),
)


def find_model_files(
    settings: FeatureSettings, endpoint: str | None = None, base: Path = Path()
) -> ModelFiles:
    """Return the files that a model is loaded from; download them if the settings name a tag.

    Args:
        settings: Of the encoder.
        endpoint: The Hub's address; what `HF_ENDPOINT` or the client says if None.
        base: Folder that relative paths start from.

    Returns:
        The files. A checkpoint that the settings name may not exist. The demonstration encoder needs none.

    Raises:
        SettingsError: There is no such file or tag, or something cannot be downloaded.
    """
    if (path := _find_local_weights(settings, base)) is None and settings.is_demonstration:
        return ModelFiles()
    library = _import_open_clip(settings)
    source = None if path is not None else _source(settings, library)
    # First the small files: if they are missing, gigabytes of weights would have come in vain.
    tokenizer, text_config = _find_text_files(settings, library, endpoint)
    if source is not None:
        path = _download(settings, source, endpoint)
    return ModelFiles(path, tokenizer, text_config)


def _find_local_weights(settings: FeatureSettings, base: Path) -> Path | None:
    """Return the checkpoint on this machine that the settings name; None if they name a tag alone."""
    if settings.is_demonstration:
        if settings.pretrained != DEMO_TAG:
            raise _refusal(settings, "the demonstration encoder has no other weights", f'use "{DEMO_TAG}"')
        if settings.weights is not None:
            raise _refusal(settings, "the demonstration encoder brings its weights", "leave weights out")
        return None
    if settings.weights is not None:
        return base / Path(settings.weights).expanduser()
    path = base / Path(settings.pretrained).expanduser()
    return path if path.is_file() else None


def _import_open_clip(settings: FeatureSettings) -> Any:
    try:
        import open_clip  # noqa: PLC0415 - takes seconds, and not everybody has it
    except ImportError as error:
        message = f"features need a library that is not here: {error.name}"
        raise _refusal(settings, message, "pip install '.[features]'") from error
    return open_clip


def _source(settings: FeatureSettings, open_clip: Any) -> str:
    """Return the place of a tag's weights on the Hub: `organisation/name/file`, the file perhaps empty."""
    if settings.model not in open_clip.list_models():
        near = suggest(settings.model, open_clip.list_models())
        raise _refusal(settings, f"open_clip has no model named {settings.model}", near)
    source = str(open_clip.get_pretrained_cfg(settings.model, settings.pretrained).get("hf_hub", ""))
    if not source:
        tags = open_clip.list_pretrained_tags_by_model(settings.model)
        near = suggest(settings.pretrained, tags) if tags else "give the path of a checkpoint"
        raise _refusal(
            settings,
            f"this is neither a file nor a tag of weights that open_clip has for {settings.model}",
            near,
        )
    return source


def _candidates(name: str) -> Iterator[str]:
    """Return the names that a tag's weights may have, those that can hold no code first."""
    if not name:
        yield from _NAMES
        return
    yield posixpath.splitext(name)[0] + ".safetensors"
    yield name


def _download(settings: FeatureSettings, source: str, endpoint: str | None) -> Path:
    repository, name = posixpath.split(source)
    for candidate in _candidates(name):
        try:
            return Path(hf_hub_download(repository, candidate, endpoint=endpoint))
        except LocalEntryNotFoundError as error:
            # Also what the client says when there is no connection, or when it was told to be offline.
            raise _refusal(
                settings, f"the weights are not on this machine, and {repository} cannot be reached", _OFFLINE
            ) from error
        except EntryNotFoundError:
            continue
        except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
            message = f"{repository} does not give the weights: {_first_line(error)}"
            raise _refusal(settings, message, "try again later") from error
    raise _refusal(
        settings, f"{repository} has none of {', '.join(_candidates(name))}", "give the path of a checkpoint"
    )


def _find_text_files(
    settings: FeatureSettings, open_clip: Any, endpoint: str | None
) -> tuple[Path | None, Path | None]:
    """Return the folders with a model's tokenizer and its text tower's config.json; None for open_clip's.

    Raises:
        SettingsError: They are needed, and are not on this machine and cannot be downloaded.
    """
    config: Mapping[str, Any] = (open_clip.get_model_config(settings.model) or {}).get("text_cfg", {})
    names = config.get("hf_tokenizer_name"), config.get("hf_model_name")
    may_download = bool(open_clip.get_pretrained_cfg(settings.model, settings.pretrained))
    folders = {}
    for name in sorted({name for name in names if name}):
        folders[name] = folder = _find_folder(settings, name, endpoint, may_download=may_download)
        wanted = (_VOCABULARIES if name == names[0] else (), (_TEXT_CONFIG,) if name == names[1] else ())
        for each in filter(None, wanted):
            if not any((folder / file).is_file() for file in each):
                message = f"{name}, which {settings.model} takes its texts' files from, has none of "
                raise _refusal(settings, message + ", ".join(each), _download_command(name))
    return folders.get(names[0]), folders.get(names[1])


def _find_folder(
    settings: FeatureSettings, repository: str, endpoint: str | None, *, may_download: bool
) -> Path:
    """Return the folder in the Hub client's cache with a repository's small files for texts."""
    try:
        found = snapshot_download(
            repository,
            allow_patterns=[*_TEXT_FILES],
            endpoint=endpoint,
            local_files_only=not may_download,
        )
    except LocalEntryNotFoundError as error:
        if may_download:
            message, fix = f"and {repository} cannot be reached", _ONLINE
        else:
            message, fix = "and a checkpoint without a tag downloads nothing", _download_command(repository)
        message = f"the files of {repository} for {settings.model}'s texts are not on this machine, {message}"
        raise _refusal(settings, message, fix) from error
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        message = f"{repository} does not give the files for {settings.model}'s texts: {_first_line(error)}"
        raise _refusal(settings, message, "try again later") from error
    return Path(found)


def _download_command(repository: str) -> str:
    """Return the command with which the Hub's client downloads a repository's files for texts."""
    return f'hf download {repository} --include "*.json" --include "*.txt" --include "*.model"'


def _first_line(error: Exception) -> str:
    """Return the first line of a library's message, safe to show."""
    return printable(str(error).strip().split("\n")[0])[:200]


def _refusal(settings: FeatureSettings, message: str, fix: str) -> SettingsError:
    return SettingsError(
        Problem(Reason.SETTINGS, message, column="features.pretrained", value=settings.pretrained, fix=fix)
    )
