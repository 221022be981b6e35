"""The kinds of source. A new kind is one module here and one line in `SOURCES`.

Each is opened with a folder and a name, and gives what `builders.intake.Source` says.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from builders.intake import Source
from builders.sources.sample import NOTICE, write_sample
from builders.sources.sfhq import SfhqSource
from schemas.records import ALGORITHMIC_MEDIA


def open_sample(folder: Path, name: str) -> Source:
    """Draw the built-in sample into `folder`, which is ours to write, and open it."""
    write_sample(folder)
    return SfhqSource(folder, name, kind="sample", digital_source_type=ALGORITHMIC_MEDIA, notice=NOTICE)


SOURCES: Mapping[str, Callable[[Path, str], Source]] = {
    "sample": open_sample,
    "sfhq": SfhqSource,
}
