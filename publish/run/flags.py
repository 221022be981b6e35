"""Flags that several commands share. `--help` imports this module, so it loads no library."""

import argparse
from pathlib import Path

NUM_SAMPLED = 5  # files that `sfhq verify` downloads beside the manifest


def host_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Make a parser with the flags of every command that asks hosts."""
    parser = argparse.ArgumentParser(prog=name, description=description, allow_abbrev=False)
    parser.add_argument(
        "--config", type=Path, default=Path("release.toml"), help="settings (default: release.toml)"
    )
    parser.add_argument("--out", type=Path, default=Path("dist"), help="the releases' folder (default: dist)")
    parser.add_argument(
        "--to",
        action="append",
        default=[],
        metavar="TARGET",
        help="ask this target (hub, kaggle) in place of the configured ones; repeatable",
    )
    return parser
