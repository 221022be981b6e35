"""Read exports with this environment's `datasets`, by their folders and by streaming; print JSON."""

import json
import sys
import tempfile
from typing import Any

import datasets


def describe(rows: Any) -> dict[str, Any]:
    """Return the columns, the number of rows, and the class of each value of the first row."""
    listed = list(rows)
    return {
        "columns": list(listed[0]),
        "num_rows": len(listed),
        "types": {name: type(value).__name__ for name, value in listed[0].items()},
        "has_null": any(value is None for row in listed for value in row.values()),
    }


if __name__ == "__main__":
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        found = {
            folder: {
                way: describe(
                    datasets.load_dataset(folder, split="train", cache_dir=cache, streaming=way == "stream")
                )
                for way in ("load", "stream")
            }
            for folder in sys.argv[1:]
        }
    print(json.dumps(found))
