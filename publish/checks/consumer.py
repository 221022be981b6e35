"""Load every config of a folder as a consumer would: `datasets`, and no code of ours.

`publish/checks/loading.py` runs this file in a process of its own, in isolated mode. It prints one object of
JSON: config → {"plain": {split: rows}, "streaming": {split: rows}}. What is loaded plainly is written to a
cache whole, so configs that are too large for that are only streamed: those named after the folder.

    python -I publish/checks/consumer.py dist/1.0 [CONFIG ...]
"""

import json
import os
import sys
import tempfile

from datasets import disable_progress_bars, get_dataset_config_names, load_dataset
from pyarrow.dataset import ParquetFragmentScanOptions

# Arrow's read-ahead would hold a whole shard in memory; what is loaded is the same.
_SCAN = ParquetFragmentScanOptions(pre_buffer=False)


def main(folder: str, *streamed: str) -> None:
    """Load all there is, decode the first and the last image of each split, and print the rows found."""
    disable_progress_bars()
    found = {
        config: _load(folder, config, plain=config not in streamed)
        for config in get_dataset_config_names(folder)
    }
    print(json.dumps(found), flush=True)


def _load(folder: str, config: str, *, plain: bool) -> dict[str, dict[str, int]]:
    rows: dict[str, dict[str, int]] = {"streaming": {}}
    if plain:
        rows["plain"] = _load_plain(folder, config)
    for split, stream in load_dataset(folder, config, streaming=True, fragment_scan_options=_SCAN).items():
        _ = next(iter(stream))  # decodes its image; the others are only counted
        rows["streaming"][split] = sum(1 for _ in stream.decode(enable=False))
    return rows


def _load_plain(folder: str, config: str) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as cache:
        loaded = load_dataset(folder, config, cache_dir=cache, fragment_scan_options=_SCAN)
        for dataset in loaded.values():
            _ = dataset[0], dataset[-1]  # decodes their images
        return {split: len(dataset) for split, dataset in loaded.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
    # A stream that is not read to its end leaves threads of Arrow's, which now and then abort the interpreter
    # on its way out ("terminate called without an active exception"). All is said, so leave at once.
    os._exit(0)
