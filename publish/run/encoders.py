"""Encoders that the settings ask for: files found, models loaded, nothing of it unless there are any."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from builders.features.encoder import NO_FILES, Encoder, EncoderLoader, ModelFiles, load_encoder
from builders.sources import SAMPLE_KIND
from builders.sources.intake import Source
from publish.run.settings import Settings
from schemas.configs import Table
from schemas.features import DEMO_TAG, FeatureSettings, refuse_demonstration
from schemas.problems import SettingsError


def open_encoders(settings: Settings, base: Path, sources: Iterable[Source]) -> Mapping[str, Encoder]:
    """Load every encoder that the settings ask for.

    Args:
        settings: Which.
        base: Folder that relative paths start from.
        sources: What is going to be encoded: the demonstration encoder knows drawn faces only.

    Returns:
        Config of features → its encoder.

    Raises:
        SettingsError: One does not fit the images, or cannot be loaded.
    """
    are_drawn = all(source.kind == SAMPLE_KIND for source in sources if source.table is Table.IMAGES)
    refusals = (refuse_demonstration(each, images_are_drawn=are_drawn) for each in settings.features)
    if problems := [problem for problem in refusals if problem is not None]:
        raise SettingsError(problems)
    return {each.config: load_encoder(each, _find_files(each, base)) for each in settings.features}


def make_loaders(
    settings: Settings, base: Path, encoders: Mapping[str, Encoder]
) -> Mapping[str, EncoderLoader]:
    """Make what loads the encoders on other machines, with the files and numbers of those loaded here.

    Args:
        settings: Which encoders.
        base: Folder that relative paths start from; absolute.
        encoders: What `open_encoders` returned.

    Returns:
        Config of features → what loads its encoder.
    """
    loaders = dict[str, EncoderLoader]()
    for each in settings.features:
        provenance = encoders[each.config].provenance
        chosen = each.model_copy(update={"dtype": provenance.dtype})
        found = _find_files(each, base)
        paths = (found.weights, found.tokenizer, found.text_config)
        files = ModelFiles(*(path and path.absolute() for path in paths))
        loaders[each.config] = EncoderLoader(chosen, files, provenance)
    return loaders


def _find_files(settings: FeatureSettings, base: Path) -> ModelFiles:
    if settings.is_demonstration and settings.weights is None and settings.pretrained == DEMO_TAG:
        return NO_FILES  # it brings its own
    from publish.providers.weights import find_model_files  # noqa: PLC0415 - it downloads, which few releases need

    return find_model_files(settings, base=base)
