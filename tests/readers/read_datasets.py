"""Reads releases with whichever `datasets` this runs under, in each way that users do; prints what failed.

`test_old_readers.py` runs it in environments with older versions; nothing of the kit is imported.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ |= {"HF_HOME": tempfile.mkdtemp(), "HF_HUB_OFFLINE": "1"}

import datasets


def read(folder: Path) -> None:
    """Read every config of a release by the card, as a stream, by file, and by path of a file."""
    shards = json.loads((folder / "manifest.json").read_text())["shards"]
    failed: dict[str, str] = {}
    rows: dict[str, dict[str, int]] = {}
    for config in datasets.get_dataset_config_names(str(folder)):
        files = [str(folder / shard["path"]) for shard in shards if shard["config"] == config]
        rows[config] = {}

        def by_card(config: str = config) -> int:
            return count(datasets.load_dataset(str(folder), config, split="train"))

        def stream(config: str = config) -> int:
            return sum(1 for _ in datasets.load_dataset(str(folder), config, split="train", streaming=True))

        def by_file(files: list[str] = files) -> int:
            return count(datasets.load_dataset("parquet", data_files=files, split="train"))

        def from_parquet(files: list[str] = files) -> int:
            return count(datasets.Dataset.from_parquet(files))

        ways: list[Callable[[], int]] = [by_card, stream]
        ways += [by_file, from_parquet] if all(name.endswith(".parquet") for name in files) else []
        for way in ways:
            try:
                rows[config][way.__name__] = way()
            except Exception as error:  # whatever it is, a user would see it
                failed[f"{config} {way.__name__}"] = f"{type(error).__name__}: {error}"[:300]
    print(json.dumps({"version": datasets.__version__, "rows": rows, "failed": failed}))


def count(dataset: "datasets.Dataset") -> int:
    """Decode every row, and count them."""
    return sum(1 for _ in dataset)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        read(Path(name))
