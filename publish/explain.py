"""Explain the code of a problem: `python publish/explain.py row/image-missing`, or `sfhq explain CODE`.

Without a code, every code is listed. Exit status: 0 done, 2 there is no such code.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Sequence

from schemas.codes import CODES, write_table
from schemas.problems import suggest


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="sfhq explain", description="Explain the code of a problem.", allow_abbrev=False
    )
    parser.add_argument("code", nargs="?", help="a code as messages show it; all are listed without one")
    parser.add_argument("--table", action="store_true", help="write the table in PUBLISHING.md")
    options = parser.parse_args(argv)
    if options.table:
        print(write_table())
        return 0
    code = options.code
    if code is None:
        width = max(map(len, CODES))
        for name, known in CODES.items():
            print(f"{name:<{width}}  {known.meaning}")
        return 0
    if code not in CODES:
        from publish.hosts import TARGETS  # noqa: PLC0415 - loads pyarrow, and few codes get here

        host, _, word = code.partition("/")
        code = f"host/{word}" if host in TARGETS else code
    if code not in CODES:
        print(f"there is no code {code!r}: {suggest(code, CODES)}", file=sys.stderr)
        return 2
    print(f"{code}\n\n  {CODES[code].meaning}\n\n  What to do: {CODES[code].fix}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
