"""Makes the small SFHQ folders that tests read, and runs the kit over them."""

import csv
import fcntl
import hashlib
import io
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from PIL import Image

from builders.catalog import Catalog
from builders.catalog.reader import SourceReader
from builders.images.checked import CheckedImages
from builders.images.known_files import KNOWN_FILES_NAME
from builders.sources.exclusions import Exclusions
from builders.sources.images.sfhq import COLUMNS, TABLE_NAME, open_sfhq_folder
from builders.sources.intake import Source
from publish.checks.loading import Loaded, LoadingError, Tell
from schemas.configs import Table
from schemas.generation import GENERATION_FILE
from schemas.manifest import Counts, Manifest
from schemas.preferences import PreferencePair
from schemas.problems import Problem, Severity
from schemas.records import RejectedRow
from schemas.settings import BuildSettings, PrivacySettings

WARN = PrivacySettings()
ROOT = Path(__file__).resolve().parent.parent
CONFIGS: dict[str, dict[str, object]] = {
    "FLUX1_schnell": {
        "image_size": "square_hd",
        "num_inference_steps": 4,
        "seed": 1,
        "enable_safety_checker": False,
    },
    "FLUX1_dev": {
        "image_size": "square_hd",
        "num_inference_steps": 28,
        "seed": 2**32 - 1,
        "guidance_scale": 3.5,
    },
    "FLUX1_pro": {"image_size": "square_hd", "seed": 0, "guidance_scale": 2.75, "safety_tolerance": "5"},
    "SDXL": {"engine_id": "sdxl", "cfg_scale": 7, "steps": 30, "seed": 9, "style_preset": "photographic"},
    "DALLE3": {"size": "1024x1024", "quality": "hd", "style": "vivid", "orig_prompt": "a face"},
}


def image_bytes(
    number: int, kind: str = "JPEG", mode: str = "RGB", size: tuple[int, int] = (24, 16)
) -> bytes:
    """Draw a small image that differs for each number."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = hashlib.shake_256(f"{number}".encode()).digest(size[0] * size[1] * channels)
    file = io.BytesIO()
    Image.frombytes(mode, size, pixels).save(file, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return file.getvalue()


@dataclass
class SfhqFolder:
    """An SFHQ folder under construction: change `rows` and `images`, then `write`."""

    path: Path
    rows: list[list[str]] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)
    header: Sequence[str] = COLUMNS
    table: bytes | None = None  # the table's bytes, where `rows` cannot say them

    def write(self) -> Path:
        """Write the folder; image names are paths relative to it."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name, data in self.images.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_bytes(data)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        (self.path / TABLE_NAME).write_bytes(text.getvalue().encode() if self.table is None else self.table)
        return self.path


def good_folder(path: Path, num_images: int = 4) -> SfhqFolder:
    """Start from a folder in which everything is right: all five generators in turn."""
    folder = SfhqFolder(path)
    for number in range(num_images):
        generator = list(CONFIGS)[number % len(CONFIGS)]
        name = f"{generator}_image_{number:07d}.jpg"
        folder.rows.append([name, generator, f"prompt {number}", json.dumps(CONFIGS[generator])])
        folder.images[f"images/{name}"] = image_bytes(number)
    return folder


def request_record(folder: SfhqFolder, number: int, **changes: object) -> dict[str, object]:
    """Return a line of `generation.jsonl` on an image of a folder, with some keys changed."""
    name, generator, prompt, _ = folder.rows[number % len(folder.rows)]
    return {
        "request_key": hashlib.sha256(str(number).encode()).hexdigest()[:24],
        "status": "delivered",
        "image_filename": name,
        "prompt": prompt,
        "attributes": [
            {"attribute": "sex", "value": "woman" if number % 2 else "man"},
            {"attribute": "age group", "value": "adult"},
        ],
        "grammar": "faces",
        "grammar_version": "1",
        "prompt_seed": 7,
        "prompt_index": number,
        "prompt_id": f"prompt-{number}",
        "base_prompt_id": "prompt-0",
        "category": "Cinematic",
        "sub_category": "close-up",
        "evolution": "simplified",
        "prompt_license": "cc0-1.0",
        "generator": generator,
        "provider": "fal-ai",
        "model": f"fal-ai/{generator}",
        "seed": number,
        "returned_seed": number,
        "revised_prompt": None,
        "flags": [],
        "refusal": None,
        "provider_request_id": f"request-{number}",
        "cost_usd": 0.125,
        "cost_basis": "price",
        "requested_at": f"2026-11-{1 + number % 28:02d}T12:00:00+02:00",
        "seconds": 1.5,
        **changes,
    }


def refused_record(folder: SfhqFolder, number: int, **changes: object) -> dict[str, object]:
    """Return a line of `generation.jsonl` on a request that was refused."""
    answer: dict[str, object] = {
        "status": "refused",
        "image_filename": None,
        "refusal": "content_policy_violation",
        "returned_seed": None,
        "cost_usd": None,
        "cost_basis": None,
    }
    return request_record(folder, number, **{**answer, **changes})


def write_requests(folder: Path, records: Sequence[Mapping[str, object]]) -> Path:
    """Write `generation.jsonl` into a folder."""
    path = folder / GENERATION_FILE
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Reading:
    """What came of reading sources."""

    tables: Mapping[Table, Counts]
    published: list[dict[str, object]]
    captions: list[dict[str, object]]
    pairs: list[PreferencePair]
    requests: list[dict[str, object]]
    rejected: list[RejectedRow]
    problems: list[Problem]

    @property
    def counts(self) -> Counts:
        """Where the rows of images went."""
        return self.tables[Table.IMAGES]


def read_folders(work: Path, *folders: Path, settings: BuildSettings | None = None) -> Reading:
    """Read folders into a catalog as a release does, without building anything."""
    sources = [open_sfhq_folder(folder, folder.name) for folder in folders]
    return read_into_catalog(work, *sources, settings=settings)


def read_into_catalog(
    work: Path,
    *sources: Source,
    settings: BuildSettings | None = None,
    exclusions: Exclusions | None = None,
    privacy: PrivacySettings = WARN,
    checked: CheckedImages | None = None,
) -> Reading:
    """Read sources into a catalog as a release does, without building anything."""
    path = work / "catalog.sqlite"
    path.unlink(missing_ok=True)
    with closing(Catalog(path, exclusions=exclusions, privacy=privacy)) as catalog:
        SourceReader(catalog, settings or BuildSettings(), work, checked=checked).read(sources)
        problems = [problem for severity in Severity for problem in catalog.ledger.problems(severity, 1000)]
        return Reading(
            tables=catalog.counts(),
            published=[row for row, _ in catalog.images.published()],
            captions=list(catalog.captions.published()),
            pairs=[pair.record for pair in catalog.pairs.published("submitted-majority")],
            requests=list(catalog.requests.published()),
            rejected=list(catalog.ledger.rejected()),
            problems=problems,
        )


def rewrite_manifest(folder: Path, change: Callable[[dict[str, object]], None] = lambda _: None) -> None:
    """Make the manifest agree with the files again, as somebody would who covers their tracks."""
    path = folder / "manifest.json"
    values = json.loads(path.read_bytes())
    for entry in [*values["shards"], *values["files"]]:
        data = (folder / entry["path"]).read_bytes()
        entry["num_bytes"], entry["sha256"] = len(data), hashlib.sha256(data).hexdigest()
    change(values)
    path.write_bytes(Manifest.model_validate_json(json.dumps(values)).to_json())


def load_with_pyarrow(folder: Path, streamed: Collection[str], scratch: Path | None, tell: Tell) -> Loaded:
    """Return the rows of the files that the card's header names, read to their end in this process."""
    header = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    found: dict[str, dict[str, dict[str, int]]] = {}
    for number, config in enumerate(header["configs"], 1):
        tell(config["config_name"], number, len(header["configs"]))
        rows = Counter[str]()
        for files in config["data_files"]:
            paths = sorted(folder.glob(files["path"]))
            if not paths:
                raise LoadingError(f"no file is at {files['path']}")
            for path in paths:
                with pq.ParquetFile(path) as file:
                    rows[files["split"]] += sum(len(batch) for batch in file.iter_batches())
        name = config["config_name"]
        ways = ("streaming",) if name in streamed else ("plain", "streaming")
        found[name] = {way: dict(rows) for way in ways}
    return found


def copy_folder(source: Path, target: Path) -> Path:
    """Copy a folder to a new place, where every file may be written even if it is read-only at the source."""
    return Path(shutil.copytree(source, target, copy_function=shutil.copyfile))


def protect(folder: Path) -> None:
    """Make the files below a folder read-only."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(path.stat().st_mode & ~0o222)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock that one process of this machine can have at a time."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def tree_digest(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder, by its relative path.

    The list of known images is left out: by the clock, a later run may add what was too new for the first.
    """
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != KNOWN_FILES_NAME
    }


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    status: int
    out: str
    err: str


def run_release(
    *arguments: str | Path,
    door: Sequence[str] = ("tests/door.py", "release"),
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run a command in a process of its own, as a user does; `tests/door.py` says what differs."""
    command = [sys.executable, *door, *(str(argument) for argument in arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    return Run(done.returncode, done.stdout, done.stderr)


_TOWER = {"width": 64, "layers": 1}
_TEXT = {"context_length": 77, "vocab_size": 49408, "heads": 1, **_TOWER}
# As open_clip's own configs of these kinds, but small.
MODELS: dict[str, dict[str, Any]] = {
    "tiny-ViT": {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "patch_size": 16, "head_width": 32, **_TOWER},
        "text_cfg": _TEXT,
    },
    "tiny-CoCa": {
        "embed_dim": 32,
        "vision_cfg": {
            "image_size": 32,
            "patch_size": 16,
            "head_width": 32,
            **_TOWER,
            "attentional_pool": True,
            "attn_pooler_heads": 4,
            "output_tokens": True,
        },
        "text_cfg": {**_TEXT, "context_length": 76, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {**_TEXT, "context_length": 76, "attn_pooler_heads": 1},
        "custom_text": True,
    },
    "tiny-timm": {
        "embed_dim": 32,
        "vision_cfg": {
            "image_size": 32,
            "timm_model_name": "test_vit",
            "timm_pool": "",
            "timm_proj": "linear",
        },
        "text_cfg": _TEXT,
    },
}
