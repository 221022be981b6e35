"""The places a release can go. A new one is one module here and one line in `TARGETS`.

Each is made from the output folder and the dataset's settings, and gives what `publish.plan.Target` says.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from publish.plan import Target
from publish.targets.folder import FolderTarget

TARGETS: Mapping[str, Callable[[Path], Target]] = {"folder": FolderTarget}
