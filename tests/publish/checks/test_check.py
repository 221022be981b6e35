"""The check finds every way in which a release is not what it says."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from publish.check import main
from publish.checks.release import check_release
from tests.support import rewrite_manifest

Tamper = Callable[[Path], object]


def shard(folder: Path, config: str) -> Path:
    """Find the only shard of a config."""
    (path,) = (folder / config).glob("*.parquet")
    return path


def rewrite_shard(
    config: str, change: Callable[[pa.Table], pa.Table], rows_per_group: int = 100, **options: object
) -> Tamper:
    """Change a shard's table and cover the tracks."""

    def tamper(folder: Path) -> None:
        path = shard(folder, config)
        pq.write_table(change(pq.read_table(path)), path, row_group_size=rows_per_group, **options)
        rewrite_manifest(folder)

    return tamper


def swap_images(table: pa.Table) -> pa.Table:
    """Return the first two rows each other's image."""
    order = [1, 0, *range(2, len(table))]
    return table.set_column(0, table.schema.field(0), table["image"].take(order))


def edit_card(old: str, new: str) -> Tamper:
    """Change the card's text and cover the tracks."""

    def tamper(folder: Path) -> None:
        card = folder / "README.md"
        text = card.read_text()
        assert old in text
        card.write_text(text.replace(old, new, 1))
        rewrite_manifest(folder)

    return tamper


def flip_byte(folder: Path) -> None:
    """Change one byte in the middle of a data file."""
    path = shard(folder, "images")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def not_parquet(folder: Path) -> None:
    """Replace a data file by text."""
    shard(folder, "prompts").write_text("x")
    rewrite_manifest(folder)


def edit_tar(change: Callable[[bytes], bytes]) -> Tamper:
    """Change the tar's bytes and cover the tracks."""

    def tamper(folder: Path) -> None:
        (path,) = (folder / "webdataset").glob("*.tar")
        path.write_bytes(change(path.read_bytes()))
        rewrite_manifest(folder)

    return tamper


def lose_first_sample(tar: bytes) -> bytes:
    """Cut the first sample out of a tar."""
    names = [match.start() for match in re.finditer(rb"[A-Za-z0-9_]+-[0-9a-f]{16}\.jpg\0", tar)]
    return tar[names[1] :]


def set_manifest(key: str, value: object) -> Tamper:
    """Overwrite a key of the manifest."""

    def tamper(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

    return tamper


def claim_rows(values: dict[str, object]) -> None:
    """Claim a published row more, and a row read more."""
    counts = values["counts"]
    assert isinstance(counts, dict)
    for key in ("read", "published", "num_rows"):
        counts["captions"][key] += 1


def link_for_file(folder: Path) -> None:
    """Replace a file by a link to the same bytes elsewhere."""
    path = folder / "LICENSES.md"
    elsewhere = folder.parent / "elsewhere.md"
    elsewhere.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(elsewhere)


def rewrite_index(folder: Path) -> None:
    """Move every sample by a block in the index alone."""
    path = folder / "webdataset" / "index.parquet"
    rows = pq.read_table(path).to_pylist()
    moved = [row | {"image_offset": row["image_offset"] + 512} for row in rows]
    pq.write_table(pa.Table.from_pylist(moved, schema=pq.read_schema(path)), path)
    rewrite_manifest(folder)


def rewrite_sizes(folder: Path) -> None:
    """Claim a sample more of a tar, in the list of tars alone."""
    path = folder / "webdataset" / "sizes.json"
    path.write_text(json.dumps({name: size + 1 for name, size in json.loads(path.read_text()).items()}))
    rewrite_manifest(folder)


TAMPERINGS: dict[str, tuple[Tamper, str]] = {
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "there is no release here"),
    "half a manifest": (
        lambda folder: (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes()[:99]),
        "the manifest is damaged",
    ),
    "manifest reaches out": (
        set_manifest("files", [{"path": "../x", "num_bytes": 1, "sha256": "0" * 64}]),
        "the manifest is damaged: files.0.path",
    ),
    "byte flipped": (flip_byte, "the file has other bytes"),
    "file cut": (
        lambda folder: shard(folder, "images").write_bytes(shard(folder, "images").read_bytes()[:-1]),
        "the file has another size",
    ),
    "file gone": (lambda folder: shard(folder, "prompts").unlink(), "the file is missing"),
    "file added": (lambda folder: (folder / "images" / "x.txt").write_text("x"), "not in the manifest"),
    "hidden file added": (lambda folder: (folder / ".x").write_text("x"), "not in the manifest"),
    "link for a file": (link_for_file, "not a regular file"),
    "not Parquet": (
        not_parquet,
        "not readable Parquet",
    ),
    "images swapped": (
        rewrite_shard("images", swap_images),
        "the bytes of the image are not those that its row states",
    ),
    "row lost": (rewrite_shard("prompts", lambda table: table.slice(1)), "the number of rows differs"),
    "row twice": (
        rewrite_shard("images", lambda table: pa.concat_tables([table.slice(0, 59), table.slice(0, 1)])),
        "more than one row has the same image_id",
    ),
    "rows in another order": (
        rewrite_shard("prompts", lambda table: table.sort_by("prompt")),
        "do not have the same rows",
    ),
    "image in a tar": (
        edit_tar(lambda tar: tar.replace(b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe1", 1)),
        "the image or the fields of a row are not those in the file of images",
    ),
    "sample lost from a tar": (edit_tar(lose_first_sample), "it has not the rows of the file of images"),
    "tar cut": (edit_tar(lambda tar: tar[: len(tar) // 2]), "the file is not readable webdataset"),
    "index of other tars": (
        rewrite_index,
        "the index does not say what is where",
    ),
    "list of other tars": (rewrite_sizes, "the list of tars has not the tars that there are"),
    "caption in the list alone": (
        rewrite_shard("captions", lambda table: table.slice(1)),
        "the lists of captions are not the captions",
    ),
    "caption of another image": (
        rewrite_shard(
            "captions", lambda table: table.set_column(1, "image_id", table["image_id"].take([1] * 120))
        ),
        "the lists of captions are not the captions",
    ),
    "chosen and rejected swapped": (
        rewrite_shard(
            "binarized", lambda table: table.set_column(2, table.schema.field(2), table["rejected"])
        ),
        "the bytes of the chosen are not those that its row states",
    ),
    "pair from nowhere": (
        rewrite_shard("preferences", lambda table: table.slice(0, 1)),
        "pairs are in binarized that are not in preferences",
    ),
    "pair twice": (
        rewrite_shard("preferences", lambda table: pa.concat_tables([table, table.slice(0, 1)])),
        "more than one row has the same source and id",
    ),
    "card's vote count": (
        edit_card("| `undecided` | 23.0 % | 23 |", "| `undecided` | 23.0 % | 32 |"),
        "undecided",
    ),
    "column renamed": (
        rewrite_shard("prompts", lambda table: table.rename_columns({"prompt": "text"})),
        "columns differ from the manifest's (value: 'prompt, text')",
    ),
    "row groups too large": (
        rewrite_shard("images", lambda table: pa.concat_tables([table] * 4), rows_per_group=1000),
        "too large for the Hub's viewer",
    ),
    "card's YAML count": (edit_card("num_examples: 60", "num_examples: 61"), "/train is not true"),
    "card's table count": (edit_card("| Stable Diffusion XL | 16 |", "| Stable Diffusion XL | 17 |"), "SDXL"),
    "card without header": (edit_card("---\n", ""), "no YAML header"),
    "card with a Python object": (
        edit_card("license: other", "license: !!python/object/apply:os.system ['x']"),
        "the card cannot be read",
    ),
    "counts": (lambda folder: rewrite_manifest(folder, claim_rows), "counts differ from the files"),
    "data files elsewhere": (
        edit_card("path: prompts/train-*", "path: prompt/train-*"),
        "`datasets` cannot load",
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.loads, pytest.mark.slow] if "datasets" in says else ())
        for name, (_, says) in TAMPERINGS.items()
    ],
)
def test_tampering_is_found(name: str, sample_copy: Path) -> None:
    tamper, says = TAMPERINGS[name]
    tamper(sample_copy)
    assert any(says in str(problem) for problem in check_release(sample_copy)), check_release(sample_copy)


@pytest.mark.loads
def test_a_sound_release_is_sound(sample_release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(sample_release)]) == 0
    assert capsys.readouterr().out == f"{sample_release}: sound\n"


def test_the_command_tells_problems_and_exits_with_1(
    sample_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sample_copy / "LICENSES.md").unlink()
    assert main([str(sample_copy), str(sample_copy / "nowhere")]) == 1
    shown = capsys.readouterr()
    assert shown.out == f"{sample_copy}: 1 problems\n{sample_copy / 'nowhere'}: 1 problems\n"
    assert f"{sample_copy / 'LICENSES.md'}: the file is missing" in shown.err
    assert f"{sample_copy / 'nowhere' / 'manifest.json'}: there is no release here" in shown.err
    assert ("[check/file]" in shown.err, "[check/manifest]" in shown.err) == (True, True)


@pytest.mark.slow
def test_a_row_group_above_the_byte_limit_is_found(sample_copy: Path) -> None:
    big = pa.array([bytes(60_000_000)] * 2)
    path = shard(sample_copy, "images")
    table = pq.read_table(path).slice(0, 2)
    images = pa.StructArray.from_arrays(
        [big, table["image"].combine_chunks().field("path")], ["bytes", "path"]
    )
    file = io.BytesIO()
    pq.write_table(
        table.set_column(0, table.schema.field(0), images), file, compression="none", use_dictionary=False
    )
    path.write_bytes(file.getvalue())
    rewrite_manifest(sample_copy)
    assert any("too large" in str(problem) for problem in check_release(sample_copy))
