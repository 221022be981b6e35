"""A command in a process of its own, which reads releases with pyarrow where users' ones start `datasets`.

    python tests/door.py release --version 1.0

Starting `datasets` for each release that is checked takes 4.5 CPU seconds. The tests of that check, of the
documents and of the commands' own files use the real doors.
"""

import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # before the tests' own folder

from publish.checks import loading
from tests.support import load_with_pyarrow


def main() -> int:
    """Run the command that the first argument names, with the others."""
    loading.load_with_datasets = load_with_pyarrow
    status: int = import_module(f"publish.{sys.argv[1]}").main(sys.argv[2:])
    return status


if __name__ == "__main__":
    sys.exit(main())
