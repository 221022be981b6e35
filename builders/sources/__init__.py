"""The kinds of source. A new kind is one module here and one line in `SOURCES`.

Each is opened with a path, a name and options, and gives what `builders.sources.intake.Source` says.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from builders.sources.captions import METADATA_NAMES, CaptionSource, has_captions
from builders.sources.intake import Source, SourceOptions
from builders.sources.preferences import PreferenceSource, forms_of
from builders.sources.sample import LICENSE, NOTICE, write_sample
from builders.sources.sfhq import TABLE_NAME, SfhqSource
from builders.sources.tables import open_table
from schemas.problems import Problem, Reason, SourceError
from schemas.records import ALGORITHMIC_MEDIA

SAMPLE_KIND = "sample"
Open = Callable[[Path, str, SourceOptions], tuple[Source, ...]]


def _open_sample(folder: Path, name: str, options: SourceOptions) -> tuple[Source, ...]:
    """Draw the built-in sample into `folder`, which is ours to write, and open its three parts."""
    write_sample(folder)
    images = SfhqSource(folder, name, kind=SAMPLE_KIND, digital_source_type=ALGORITHMIC_MEDIA, notice=NOTICE)
    captions = CaptionSource(folder / "captions.jsonl", f"{name}-captions", options)
    options = replace(options, license=LICENSE, prompt_license=LICENSE)
    return images, captions, PreferenceSource(folder / "preferences.jsonl", f"{name}-preferences", options)


SOURCES: Mapping[str, Open] = {
    SAMPLE_KIND: _open_sample,
    "sfhq": lambda path, name, _: (SfhqSource(path, name),),
    "captions": lambda path, name, options: (CaptionSource(path, name, options),),
    "preferences": lambda path, name, options: (PreferenceSource(path, name, options),),
}


def tell_kind(path: Path) -> str:
    """Tell from its content what kind of source lies at a path.

    Raises:
        SourceError: It is none, or may be more than one, or cannot be read.
    """
    kinds = _kinds_of_folder(path) if path.is_dir() else _kinds_of_file(path)
    if len(kinds) == 1:
        return kinds[0]
    choices = " or ".join(f'kind = "{kind}"' for kind in kinds or list(SOURCES)[1:])
    message = f"this may be {' or '.join(kinds)}" if kinds else "this is no kind of source that the kit knows"
    fix = f"say which in release.toml, [[sources]]: {choices}"
    raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix))


def _kinds_of_folder(folder: Path) -> list[str]:
    if (folder / TABLE_NAME).is_file():
        return ["sfhq"]
    if any((folder / name).is_file() for name in METADATA_NAMES):
        return ["captions"]
    tables = any(folder.glob("*.csv"))
    sidecars = any(folder.glob("*.caption")) or any(folder.glob("*.txt"))
    return [kind for kind, found in (("sfhq", tables), ("captions", sidecars)) if found]


def _kinds_of_file(path: Path) -> list[str]:
    table = open_table(path)
    is_captions = has_captions(table.columns, is_mapping=table.is_mapping)
    is_preferences = bool(forms_of(table.columns))
    return [kind for kind, found in (("captions", is_captions), ("preferences", is_preferences)) if found]
