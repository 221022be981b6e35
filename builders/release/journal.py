"""The journal of a build: which files are finished, so that the next run keeps them if this one is killed."""

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from builders.files import is_intact, sync, write_whole
from schemas.manifest import Inputs, Shard


def journal_name(release: str) -> str:
    """Name the journal of a release that is built in a folder of this name, beside it."""
    return f"{release}.journal"


# Equal inputs give equal bytes, so a file finished under the same inputs is the file that would be written;
# its digest is compared first.
class Journal:
    """The finished files of one build.

    A build is a function of its inputs, so a file that was finished under equal inputs is the file that would
    be written again. It is kept if its bytes are still those that were noted.

    Args:
        folder: The release that is being built; the journal lies beside it.
        inputs: What it is built from; with other inputs, all that was finished is forgotten.
    """

    def __init__(self, folder: Path, inputs: Inputs) -> None:
        self._path, self._folder = folder.with_name(journal_name(folder.name)), folder
        head = inputs.model_dump_json() + "\n"
        self._finished = {_place(shard): shard for shard in _read(self._path, head)}
        lines = (shard.model_dump_json() + "\n" for shard in self._finished.values())
        write_whole(self._path, (head + "".join(lines)).encode())

    @property
    def is_empty(self) -> bool:
        """Whether no earlier run has finished anything."""
        return not self._finished

    def finished(self, config: str, split: str, number: int) -> Shard | None:
        """Return the file of a place that an earlier run has finished, if it is intact."""
        shard = self._finished.get((config, split, number))
        return shard if shard is not None and self._is_intact(shard) else None

    def add(self, shard: Shard) -> None:
        """Note a file that is finished, once the disk has it."""
        for path in (self._folder / shard.path, (self._folder / shard.path).parent):
            sync(path)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(shard.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _is_intact(self, shard: Shard) -> bool:
        return is_intact(self._folder / shard.path, shard.num_bytes, shard.sha256)

    def clear_unknown_files(self) -> None:
        """Remove what is in the folder and was not finished."""
        known = {self._folder / shard.path for shard in self._finished.values()}
        for path in self._folder.rglob("*"):
            if path not in known and not path.is_dir():
                path.unlink()


def _read(path: Path, head: str) -> Iterator[Shard]:
    """Yield what a journal with a head says; its last line may be torn."""
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, ValueError):
        return
    if first != head:
        return
    for line in lines:
        try:
            yield Shard.model_validate_json(line)
        except ValidationError:
            return


def _place(shard: Shard) -> tuple[str, str, int]:
    return shard.config, shard.split, shard.number
