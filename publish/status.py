"""Say what is there of every version: `python publish/status.py`, or `sfhq status`.

Nothing is changed. Exit status: 0 all is as it should be, 1 something is not, 2 wrong usage.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Sequence

from publish.run.flags import host_parser
from publish.run.terminal import Terminal, guard


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; show every error as a sentence, never as a traceback.

    Args:
        argv: The arguments; those of the process if None.

    Returns:
        Exit status.
    """
    options, terminal = _parser().parse_args(argv), Terminal()

    def run() -> int:
        from publish.run.comparing import show_status  # noqa: PLC0415 - after parsing: --help must load no library

        return show_status(options, terminal)

    return guard(terminal, run)


def _parser() -> argparse.ArgumentParser:
    return host_parser("sfhq status", "Say what is there of every version, in the folder and on the hosts.")


if __name__ == "__main__":
    sys.exit(main())
