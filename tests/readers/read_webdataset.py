"""Reads the tars of releases with whichever `webdataset` this runs under; prints what failed.

`test_old_readers.py` runs it; nothing of the kit is imported.
"""

import json
import sys
from pathlib import Path

import torch.utils.data
import webdataset as wds

NUM_WORKERS = 2
IS_NEW = hasattr(wds, "__version__") and int(wds.__version__.partition(".")[0]) >= 1


def main(folders: list[Path]) -> None:
    """Read the tars of each release by list, in a shuffled pipeline, and with more workers than tars."""
    for folder in folders:
        failed: dict[str, str] = {}
        rows: dict[str, dict[str, int]] = {"webdataset": {}}
        for way in (by_list, shuffled, with_workers):
            try:
                rows["webdataset"][way.__name__] = way(folder)
            except Exception as error:  # whatever it is, a user would see it
                failed[way.__name__] = f"{type(error).__name__}: {error}"[:300]
        print(json.dumps({"version": wds.__version__, "rows": rows, "failed": failed}))


def by_list(folder: Path) -> int:
    """Count the samples of all tars, decoded."""
    samples = wds.WebDataset(urls(folder), shardshuffle=False).decode("pil").to_tuple("jpg", "json", "txt")
    return sum(isinstance(fields, dict) and isinstance(text, str) for _, fields, text in samples)


def shuffled(folder: Path) -> int:
    """Count the samples of a shuffled pipeline; each must come once."""
    samples = wds.WebDataset(urls(folder), shardshuffle=100).shuffle(1000).decode("pil")
    return len({sample["__key__"] for sample in samples})


def with_workers(folder: Path) -> int:
    """Count the samples with more workers than tars: version 1 raises without `empty_check=False`."""
    options = {"empty_check": False} if IS_NEW else {}
    tars = urls(folder)[:1]
    samples = wds.WebDataset(tars, shardshuffle=False, **options).to_tuple("__key__")
    loader = torch.utils.data.DataLoader(samples, batch_size=None, num_workers=NUM_WORKERS)
    return len({key for (key,) in loader})


def urls(folder: Path) -> list[str]:
    """List the tars in order, from the file that lies beside them."""
    sizes = json.loads((folder / "webdataset" / "sizes.json").read_text())
    return [str(folder / "webdataset" / name) for name in sizes]


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
