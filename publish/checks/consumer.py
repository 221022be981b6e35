"""Load releases as a consumer would: `datasets`, and no code of ours.

`publish/checks/loading.py` runs this file in a process of its own, in isolated mode and in an empty folder,
with fresh caches. Starting `datasets` takes seconds, so one process loads both the folder and the Hub's copy.

Each line of stdin is an order, a JSON object; the answers are lines of JSON on stdout. Before each config
comes {"config": name, "number": from 1, "total": configs}, and at the end {"found": …} or {"error": text}.

    {"folder": "/dist/1.0", "streamed": ["default"], "scratch": "/tmp"}
        config → {"plain": {split: rows}, "streaming": {split: rows}}; what is loaded plainly is written to
        `scratch` whole, so configs that are too large for that are only streamed.
    {"repository": "org/sfhq-t2i", "revision": "0123456789abcdef0123456789abcdef01234567", "token": null}
        config → {split: columns of its first row}; read from the Hub that HF_ENDPOINT names.

    echo '{"folder": "/dist/1.0", "streamed": [], "scratch": null}' | python -I publish/checks/consumer.py
"""

import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import datasets
from datasets import disable_progress_bars, get_dataset_config_names, load_dataset
from huggingface_hub import constants
from pyarrow.dataset import ParquetFragmentScanOptions

# What is loaded is the same. Arrow's read-ahead would hold a whole shard in memory, and without a buffer it
# holds each column of a row group twice: 2,000 images of 1024 pixels take 356 MB in place of 534 MB.
_SCAN = ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True, buffer_size=1 << 20)
# Rows of a stream at a time; by default all of a row group. Arrow's tables are not made into Python's
# objects row by row: 2 GB of images take half the CPU time.
_ROWS_AT_ONCE = 64

Tell = Callable[..., None]


def main(home: str | None = None) -> None:
    """Answer orders until stdin ends, then remove `home`, the folder of this process."""
    # Libraries print to stdout now and then.
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        disable_progress_bars()

        def tell(**answer: object) -> None:
            print(json.dumps(answer), file=answers, flush=True)

        try:
            for line in sys.stdin:
                _answer(json.loads(line), tell)
        finally:
            if home is not None:
                shutil.rmtree(home, ignore_errors=True)


def _answer(order: dict[str, Any], tell: Tell) -> None:
    try:
        found = _load_folder(order, tell) if "folder" in order else _load_repository(order, tell)
    except Exception as error:
        tell(error="".join(traceback.format_exception_only(error)).strip())
    else:
        tell(found=found)


def _load_folder(order: dict[str, Any], tell: Tell) -> dict[str, object]:
    """Load all rows, and decode the first and the last image of each split; ask the network for nothing."""
    _set_offline(is_offline=True)
    folder = order["folder"]
    return {
        config: _load(folder, config, order["scratch"], plain=config not in order["streamed"])
        for config in _each(get_dataset_config_names(folder), tell)
    }


def _load_repository(order: dict[str, Any], tell: Tell) -> dict[str, object]:
    """Stream the first row of each split, decoded, at one commit."""
    _set_offline(is_offline=False)
    name, options = order["repository"], {"revision": order["revision"], "token": order["token"] or False}
    found: dict[str, object] = {}
    for config in _each(get_dataset_config_names(name, **options), tell):
        splits = load_dataset(name, config, streaming=True, **options)
        found[config] = {split: sorted(next(iter(rows))) for split, rows in splits.items()}
    return found


def _each(configs: list[str], tell: Tell) -> Iterator[str]:
    for number, config in enumerate(configs, 1):
        tell(config=config, number=number, total=len(configs))
        yield config


def _set_offline(*, is_offline: bool) -> None:
    """Set what HF_HUB_OFFLINE sets when the libraries are imported."""
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = is_offline


def _load(folder: str, config: str, scratch: str | None, *, plain: bool) -> dict[str, dict[str, int]]:
    rows: dict[str, dict[str, int]] = {"streaming": {}}
    if plain:
        rows["plain"] = _load_plain(folder, config, scratch)
    options = {"streaming": True, "fragment_scan_options": _SCAN, "batch_size": _ROWS_AT_ONCE}
    for split, stream in load_dataset(folder, config, **options).items():
        _ = next(iter(stream))  # decodes its image; the others are only counted
        tables = stream.with_format("arrow").iter(batch_size=_ROWS_AT_ONCE)
        rows["streaming"][split] = sum(table.num_rows for table in tables)
    return rows


def _load_plain(folder: str, config: str, scratch: str | None) -> dict[str, int]:
    with tempfile.TemporaryDirectory(dir=scratch) as cache:
        loaded = load_dataset(folder, config, cache_dir=cache, fragment_scan_options=_SCAN)
        for dataset in loaded.values():
            _ = dataset[0], dataset[-1]  # decodes their images
        return {split: len(dataset) for split, dataset in loaded.items()}


if __name__ == "__main__":
    main(*sys.argv[1:2])
    # A stream that is not read to its end leaves threads of Arrow's, which now and then abort the interpreter
    # on its way out ("terminate called without an active exception"). All is said, so leave at once.
    os._exit(0)
