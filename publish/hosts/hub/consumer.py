"""Load a row of every config of a dataset on the Hub as a consumer would: `datasets`, and no code of ours.

`publish/hosts/hub/target.py` runs this file in a process of its own, in isolated mode, with fresh caches.
It prints one JSON object: config → split → the columns of its first row.

    python -I publish/hosts/hub/consumer.py org/sfhq-t2i 0123456789abcdef0123456789abcdef01234567
"""

import json
import os
import sys

from datasets import disable_progress_bars, get_dataset_config_names, load_dataset


def main(repository: str, revision: str) -> None:
    """Stream the first row of each split of each config, decoded, at one commit."""
    disable_progress_bars()
    found: dict[str, dict[str, list[str]]] = {}
    for config in get_dataset_config_names(repository, revision=revision):
        splits = load_dataset(repository, config, revision=revision, streaming=True)
        found[config] = {split: sorted(next(iter(rows))) for split, rows in splits.items()}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
    # A stream that is not read to its end leaves threads of Arrow's, which may abort the interpreter.
    os._exit(0)
