"""Find the weights that a release's features are made with: a file, or a tag's file from the Hub.

A tag of open_clip's names a repository on the Hub. Its file is downloaded once, into the Hub client's own
cache, and only because the settings name the tag. Which bytes came is recorded by their SHA-256.
"""

import posixpath
from collections.abc import Iterator
from pathlib import Path

import httpx2
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

from schemas.features import DEMO_TAG, FeatureSettings
from schemas.problems import Problem, Reason, SettingsError, printable, suggest

_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_OFFLINE = (
    'be online the first time (HF_HUB_OFFLINE must not be set), or give weights = "path" where the file is'
)


def find_weights(settings: FeatureSettings, endpoint: str | None = None, base: Path = Path()) -> Path | None:
    """Return the checkpoint that the settings name; download it if they name a tag and it is not here yet.

    Args:
        settings: Of the encoder.
        endpoint: The Hub's address; what `HF_ENDPOINT` or the client says if None.
        base: Folder that relative paths start from.

    Returns:
        A file, which may not be there if the settings name it; None for the demonstration encoder, which
        brings its own.

    Raises:
        SettingsError: There is no such file or tag, or it cannot be downloaded.
    """
    if settings.is_demonstration:
        if settings.pretrained != DEMO_TAG:
            raise _refusal(settings, "the demonstration encoder has no other weights", f'use "{DEMO_TAG}"')
        if settings.weights is not None:
            raise _refusal(settings, "the demonstration encoder brings its weights", "leave weights out")
        return None
    if settings.weights is not None:
        return base / Path(settings.weights).expanduser()
    path = base / Path(settings.pretrained).expanduser()
    if path.is_file():
        return path
    return _download(settings, _source(settings), endpoint)


def _source(settings: FeatureSettings) -> str:
    """Return the place of a tag's weights on the Hub: `organisation/name/file`, the file perhaps empty."""
    try:
        import open_clip  # noqa: PLC0415 - takes seconds, and not everybody has it
    except ImportError as error:
        message = f"features need a library that is not here: {error.name}"
        raise _refusal(settings, message, "pip install '.[features]'") from error
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
            message = printable(str(error).strip().split("\n")[0])[:200]
            raise _refusal(
                settings, f"{repository} does not give the weights: {message}", "try again later"
            ) from error
    raise _refusal(
        settings, f"{repository} has none of {', '.join(_candidates(name))}", "give the path of a checkpoint"
    )


def _refusal(settings: FeatureSettings, message: str, fix: str) -> SettingsError:
    return SettingsError(
        Problem(Reason.SETTINGS, message, column="features.pretrained", value=settings.pretrained, fix=fix)
    )
