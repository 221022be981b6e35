"""Fuzzing that follows the code an input reaches: image headers, tables as bytes, and literals in cells.

    python -m tests.fuzz.guided image -max_total_time=600

The flags are libFuzzer's. atheris has wheels for Linux on x86-64 only; this module cannot run elsewhere.
"""

import sys
import tempfile
from pathlib import Path

import atheris

# Pillow imports the plugins only when it opens an image, so they are named here.
with atheris.instrument_imports(include=["builders", "schemas", "PIL"]):
    from PIL import JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401

    from tests.fuzz.targets import TARGETS, Target

# An input of at most MAX_BYTES may take so long and so much; libFuzzer ends it and keeps it.
MAX_BYTES, MAX_SECONDS, MAX_MIB = 1 << 15, 20, 2048


def run(target: Target, seeds: Path, flags: list[str]) -> None:
    """Fuzz a target; libFuzzer ends the process."""
    for number, data in enumerate(target.seeds()):
        (seeds / f"{number:04}").write_bytes(data)

    def change(data: bytes, max_bytes: int, _: int) -> bytes:
        return target.repair(atheris.Mutate(data, max_bytes))[:max_bytes]

    limits = [f"-max_len={MAX_BYTES}", f"-timeout={MAX_SECONDS}", f"-rss_limit_mb={MAX_MIB}"]
    atheris.Setup([sys.argv[0], *limits, *flags, str(seeds)], target.run, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        run(TARGETS[sys.argv[1]], Path(place), sys.argv[2:])
