"""WebDataset: what is written is what `webdataset`, `datasets` and a reader that seeks find."""

import gc
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.parse
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import webdataset as wds
from datasets import Image, load_dataset
from hypothesis import given
from hypothesis import strategies as st

from builders.release.formats import TarShard, read_index, write_index
from builders.release.formats.webdataset import SIZES_PATH, check_sizes, sample_key, write_sizes
from schemas.configs import CONFIGS
from schemas.generators import GENERATORS
from schemas.manifest import Shard
from schemas.problems import BuildError
from schemas.records import TRAINED_ALGORITHMIC_MEDIA, ImageRecord, image_id_of
from tests.support import CONFIGS as SETTINGS
from tests.support import image_bytes

FIELDS = [column.name for column in CONFIGS["default"].columns if column.name != "image"]
JSON_FIELDS = ("captions", "prompt_attributes", "settings", "other_origins")

Row = dict[str, Any]


def make_row(number: int, kind: str = "JPEG", data: bytes | None = None, **changes: Any) -> Row:
    """Make a row of the default config; unless it is changed, all that may be empty is empty."""
    data = image_bytes(number, kind) if data is None else data
    sha256 = hashlib.sha256(data).hexdigest()
    generator = changes.pop("generator", "FLUX1_schnell")
    settings = changes.pop("settings", None)
    values: Row = {
        "image_id": image_id_of(sha256),
        "prompt": None,
        "original_prompt": None,
        "captions": [],
        "prompt_attributes": [],
        "generator": generator,
        "settings": settings and GENERATORS[generator].settings.model_validate(settings),
        "config_json": settings and json.dumps(settings),
        "width": 24,
        "height": 16,
        "format": kind,
        "mode": "RGB",
        "num_bytes": max(1, len(data)),
        "sha256": sha256,
        "license": "apache-2.0",
        "digital_source_type": TRAINED_ALGORITHMIC_MEDIA,
        "source": "folder",
        "file_name": f"{number}.jpg",
        "other_origins": [],
        "split": "train",
    }
    return ImageRecord(**(values | changes)).row() | {"image": {"bytes": data, "path": f"{number}.jpg"}}


def awkward_rows() -> list[Row]:
    """Make rows of which the first six lack all that may be lacking, and later ones have it."""
    full = [
        make_row(
            6 + number,
            generator=generator,
            settings=settings,
            prompt=f'schöne Frau 👩🏽‍🦰 \u2028 "{number}"\nيوم',
            captions=["", "a\\b", "ein Bär 🐻"][:number],
            prompt_attributes=[{"attribute": "hair color", "value": "ein Bär 🐻"}] * number,
            other_origins=[f"b/{number}.jpg"],
            original_prompt="a face" if generator == "DALLE3" else None,
        )
        for number, (generator, settings) in enumerate(SETTINGS.items())
    ]
    return [*(make_row(number) for number in range(6)), *full, make_row(50, captions=["last"])]


def write(folder: Path, groups: Iterable[Sequence[Row]]) -> list[Shard]:
    """Write one tar for each group of rows."""
    shards = []
    for number, rows in enumerate(groups):
        path = folder / f"train-{number:05d}.tar"
        tar = TarShard(path)
        for start in range(0, len(rows), 4):
            tar.write_group(rows[start : start + 4])
        tar.close()
        data = path.read_bytes()
        assert (tar.file.num_bytes, tar.file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        shards.append(
            Shard(
                path=path.name, num_bytes=tar.file.num_bytes, sha256=tar.file.sha256,
                config="webdataset", split="train", number=number, num_rows=len(rows),
            )
        )  # fmt: skip
    return shards


def expected(rows: Iterable[Row]) -> dict[str, str]:
    """Say what readers should find: image id → image, prompt and every field, as one text."""
    return {
        row["image_id"]: _comparable(
            row["image"]["bytes"],
            row["prompt"] or "",
            {
                name: row[name] if name in JSON_FIELDS or row[name] is not None else "" for name in FIELDS
            },
        )
        for row in rows
    }  # fmt: skip


def found(samples: Iterable[Row]) -> dict[str, str]:
    """Bring what a reader found into the same form, each sample once."""
    pairs = []
    for sample in samples:
        fields = sample["json"] if isinstance(sample["json"], dict) else json.loads(sample["json"])
        assert sample["__key__"] == f"{fields['generator']}-{fields['image_id']}"
        image, text = sample["jpg"], sample["txt"]
        fields |= {name: json.loads(fields[name]) for name in JSON_FIELDS}
        pairs.append(
            (
                fields["image_id"],
                _comparable(
                    image if isinstance(image, bytes) else image["bytes"],
                    text if isinstance(text, str) else text.decode(),
                    fields,
                ),
            )
        )
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def _comparable(image: bytes, text: str, fields: Row) -> str:
    """Write a sample as text, in which 2 and 2.0 differ."""
    return json.dumps([image.hex(), text, fields], sort_keys=True)


def run_pipeline(make: Callable[[], Iterable[Any]]) -> list[Any]:
    """Run a pipeline of `webdataset` to its end; it leaves files to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        samples = list(make())
        gc.collect()
    return samples


def read_webdataset(places: Sequence[object], *stages: Any) -> list[Row]:
    """Read tars with `webdataset`, from paths or addresses."""
    urls = [str(place) for place in places]
    return run_pipeline(lambda: wds.WebDataset(urls, shardshuffle=False, empty_check=False).compose(*stages))


def read_datasets(places: Sequence[object], cache: Path, streaming: bool) -> Any:
    """Open tars with `datasets`, from paths or addresses, images as their bytes."""
    files = {"train": [str(place) for place in places]}
    loaded = load_dataset(
        "webdataset", data_files=files, split="train", streaming=streaming, cache_dir=str(cache)
    )
    return loaded.cast_column("jpg", Image(decode=False))


class _Hub(BaseHTTPRequestHandler):
    """As much of the Hub as reading takes; the repository `org/name` is a folder."""

    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, *connection: Any) -> None:
        self._folder = folder
        super().__init__(*connection)

    def do_GET(self) -> None:
        url = urllib.parse.unquote(self.path.partition("?")[0])
        _, is_tree, below = url.partition("/api/datasets/org/name/tree/main")
        _, is_file, name = url.partition("/datasets/org/name/resolve/main/")
        data = b'{"id": "org/name"}'
        if is_tree:
            data = json.dumps([self._entry(path) for path in (self._folder / below[1:]).iterdir()]).encode()
        if is_file:
            data = (self._folder / name).read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        part = data[int(wanted[1]) : int(wanted[2]) + 1] if wanted else data
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else part)

    do_HEAD = do_GET  # noqa: N815 - the base's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Show nothing."""

    def _entry(self, path: Path) -> Row:
        kind = "directory" if path.is_dir() else "file"
        name = path.relative_to(self._folder).as_posix()
        return {"type": kind, "path": name, "size": path.stat().st_size, "oid": "0" * 40}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the test's folder on loopback."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Hub, tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_webdataset_finds_the_same_bytes_and_fields(tmp_path: Path) -> None:
    rows = awkward_rows()
    shards = write(tmp_path, [rows[:7], rows[7:]])
    places = [tmp_path / shard.path for shard in shards]
    assert found(read_webdataset(places)) == expected(rows)
    decoded = read_webdataset(places, wds.decode("pil"))
    assert [sample["jpg"].size for sample in decoded] == [(24, 16)] * len(rows)
    assert [sample["json"]["image_id"] for sample in decoded] == [row["image_id"] for row in rows]


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_finds_the_same_bytes_and_fields(tmp_path: Path, work: Path, streaming: bool) -> None:
    rows = awkward_rows()
    shards = write(tmp_path, [rows[:7], rows[7:]])
    samples = read_datasets([tmp_path / shard.path for shard in shards], work, streaming)
    assert found(samples) == expected(rows)


@pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset fetches with curl")
def test_webdataset_finds_the_same_over_http(tmp_path: Path, hub: str) -> None:
    rows = awkward_rows()
    shards = write(tmp_path, [rows[:7], rows[7:]])
    urls = [f"{hub}/datasets/org/name/resolve/main/{shard.path}" for shard in shards]
    assert found(read_webdataset(urls)) == expected(rows)


FROM_THE_HUB = """
import json
import pandas as pd
from datasets import Image, load_dataset
from huggingface_hub import HfFileSystem
FOLDER = "hf://datasets/org/name/webdataset"
found = {}
for streaming in (False, True):
    files = {"train": f"{FOLDER}/train-*.tar"}
    loaded = load_dataset("webdataset", data_files=files, split="train", streaming=streaming)
    found[f"streaming={streaming}"] = list(loaded.cast_column("jpg", Image(decode=False)))
hub = HfFileSystem()
def read(row, part):
    start = row[f"{part}_offset"]
    return hub.cat_file(f"{FOLDER}/{row['shard']}", start, start + row[f"{part}_size"], cache_type="none")
found["seeking"] = [
    {"__key__": row["key"], "jpg": read(row, "image")}
    | {part: read(row, part).decode() for part in ("json", "txt")}
    for row in pd.read_parquet(f"{FOLDER}/index.parquet").to_dict("records")
]
print(json.dumps(found, default=lambda data: data.decode("latin-1")))
"""


@pytest.mark.slow
def test_from_the_hub_datasets_and_a_reader_that_seeks_find_the_same(
    tmp_path: Path, work: Path, hub: str
) -> None:
    rows = awkward_rows()
    folder = tmp_path / "webdataset"
    folder.mkdir()
    shards = write(folder, [rows[:7], rows[7:]])
    write_index(folder / "index.parquet", folder, shards)
    known = {"HF_ENDPOINT": hub, "HF_HOME": str(work), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", FROM_THE_HUB],
        env=os.environ | known, cwd=work, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert read.keys() == {"streaming=False", "streaming=True", "seeking"}
    for samples in read.values():
        for sample in samples:
            image = sample["jpg"]
            sample["jpg"] = (image if isinstance(image, str) else image["bytes"]).encode("latin-1")
        assert found(samples) == expected(rows)


@pytest.mark.slow
def test_a_shuffled_training_loop_sees_each_sample_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [make_row(number) for number in range(45)]
    shards = write(tmp_path, [rows[start : start + 9] for start in range(0, 45, 9)])
    places = [str(tmp_path / shard.path) for shard in shards]
    seen: list[list[str]] = []
    monkeypatch.setenv("NUM_WORKERS", "2")
    for worker in ("0", "1"):
        monkeypatch.setenv("WORKER", worker)
        loop = (
            wds.SimpleShardList(places, seed=7),
            wds.split_by_worker,
            wds.shuffle(10),
            wds.tarfile_to_samples(),
            wds.shuffle(20, initial=20),
            wds.decode("rgb8"),
            wds.to_tuple("jpg", "json"),
        )
        samples = run_pipeline(partial(wds.DataPipeline, *loop))
        assert {image.shape for image, _ in samples} == {(16, 24, 3)}
        seen.append([fields["image_id"] for _, fields in samples])
    ids = [row["image_id"] for row in rows]
    assert [len(part) for part in seen] == [27, 18]
    assert seen[0] + seen[1] != ids
    assert sorted(seen[0] + seen[1]) == sorted(ids)


def test_images_of_every_format_are_found_by_both(tmp_path: Path, work: Path) -> None:
    kinds = ["JPEG"] * 6 + ["PNG", "WEBP", "PNG", "JPEG"]
    shards = write(tmp_path, [[make_row(number, kind) for number, kind in enumerate(kinds)]])
    places = [tmp_path / shard.path for shard in shards]
    streamed = read_datasets(places, work, streaming=True).cast_column("jpg", Image())
    assert [sample["jpg"].format for sample in streamed] == kinds
    assert [sample["json"]["format"] for sample in read_webdataset(places, wds.decode("rgb8"))] == kinds


def test_the_index_leads_to_the_same_bytes(tmp_path: Path) -> None:
    rows = awkward_rows()
    shards = write(tmp_path, [rows[:7], [], rows[7:]])
    write_index(tmp_path / "index.parquet", tmp_path, shards)

    def seek(shard: str, offset: int, size: int) -> bytes:
        with (tmp_path / shard).open("rb") as file:
            file.seek(offset)
            return file.read(size)

    table = pq.read_table(tmp_path / "index.parquet")
    assert table.column_names == [
        "key", "image_id", "split", "shard", "image_offset", "image_size",
        "json_offset", "json_size", "txt_offset", "txt_size",
    ]  # fmt: skip
    index = table.to_pylist()
    assert [(row["image_id"], row["split"]) for row in index] == [(row["image_id"], "train") for row in rows]
    assert [row["shard"] for row in index] == [shards[0].path] * 7 + [shards[2].path] * (len(rows) - 7)
    assert found(_follow(index, seek)) == expected(rows)


def _follow(index: Iterable[Row], read: Callable[[str, int, int], bytes]) -> Iterator[Row]:
    """Read every sample at its place, as the index says."""
    for row in index:
        parts = {
            extension: read(row["shard"], row[f"{part}_offset"], row[f"{part}_size"])
            for part, extension in (("image", "jpg"), ("json", "json"), ("txt", "txt"))
        }
        yield {"__key__": row["key"], **parts}


texts = st.text(st.characters(codec="utf-8"), max_size=40)


@pytest.mark.slow
@given(st.lists(st.tuples(st.binary(max_size=1500), texts, st.lists(texts, max_size=3)), max_size=6))
def test_any_content_is_found_by_seeking_and_by_readers(contents: list[tuple[bytes, str, list[str]]]) -> None:
    rows = [
        make_row(number, data=data + bytes([number]), prompt=prompt or None, captions=captions)
        for number, (data, prompt, captions) in enumerate(contents)
    ]
    with tempfile.TemporaryDirectory() as place:
        (shard,) = write(Path(place), [rows])
        path = Path(place) / shard.path
        data = path.read_bytes()
        index = [row.model_dump() for row in read_index(path, "train")]
        assert found(_follow(index, lambda _, offset, size: data[offset : offset + size])) == expected(rows)
        assert found(read_webdataset([path])) == expected(rows)


ODD_GENERATORS = [
    "../../etc/passwd", "/root", "__hidden__", "_.x", ".x", "a.b.c", "", "...", "-rf", "x" * 300,
    "名前", "a\nb", "a\x00b", "A b", "C:\\x", "con", "__", "SD 3.5", "a" * 59 + "..b",
]  # fmt: skip


@given(st.one_of(st.sampled_from(ODD_GENERATORS), st.text(max_size=80)))
def test_keys_are_plain_words_whatever_a_generator_is_called(generator: str) -> None:
    key = sample_key(generator, "0123456789abcdef")
    word, _, image_id = key.partition("-")
    assert image_id == "0123456789abcdef"
    assert word.replace("_", "").isalnum()
    assert word.isascii()
    assert not word.startswith("_")
    assert len(f"{key}.json") <= 100


@pytest.mark.slow
def test_no_sample_is_hidden_by_what_its_generator_is_called(tmp_path: Path, work: Path) -> None:
    rows = [
        make_row(number) | {"generator": generator} for number, generator in enumerate(ODD_GENERATORS)
    ]  # fmt: skip
    (shard,) = write(tmp_path, [rows])
    path = tmp_path / shard.path
    generators = [sample["json"]["generator"] for sample in read_webdataset([path], wds.decode())]
    assert generators == ODD_GENERATORS
    streamed = read_datasets([path], work, streaming=True)
    assert [sample["json"]["generator"] for sample in streamed] == ODD_GENERATORS
    assert [row.image_id for row in read_index(path, "train")] == [row["image_id"] for row in rows]


def test_equal_rows_make_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = awkward_rows()
    (first,) = write(tmp_path, [rows])
    before = os.umask(0o077)
    try:
        with monkeypatch.context() as patch:
            patch.setenv("TZ", "Pacific/Auckland")
            time.tzset()
            patch.setattr(time, "time", lambda: 2e9)
            turned = [dict(reversed(row.items())) for row in rows]
            for row in turned:
                row["settings"] = row["settings"] and dict(reversed(row["settings"].items()))
            (second,) = write(tmp_path, [turned])
    finally:
        os.umask(before)
        time.tzset()
    assert second == first
    with tarfile.open(tmp_path / first.path) as tar:
        assert {(m.uid, m.gid, m.uname, m.gname, m.mtime, m.mode, m.type) for m in tar} == {
            (0, 0, "", "", 0, 0o644, tarfile.REGTYPE)
        }


def _truncate(data: bytearray, place: int) -> None:
    del data[place:]


def _flip(data: bytearray, place: int) -> None:
    data[place] ^= 1


@pytest.mark.parametrize("spoil", [
    lambda data: _truncate(data, len(data) - 1024),  # no end
    lambda data: _truncate(data, 600),               # inside the first image
    lambda data: _truncate(data, 100),               # inside the first header
    lambda data: _flip(data, 3),                     # a name without its checksum
    lambda data: _truncate(data, 0),
])  # fmt: skip
def test_a_damaged_tar_has_no_index(tmp_path: Path, spoil: Callable[[bytearray], None]) -> None:
    (shard,) = write(tmp_path, [[make_row(1), make_row(2)]])
    path = tmp_path / shard.path
    data = bytearray(path.read_bytes())
    spoil(data)
    path.write_bytes(data)
    with pytest.raises(BuildError, match=shard.path):
        list(read_index(path, "train"))


def _foreign(*names: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    headers = []
    for name in names:
        member = tarfile.TarInfo(name)
        member.type, member.size = kind, size
        headers.append(member.tobuf(tarfile.GNU_FORMAT))
    return b"".join([*headers, bytes(1024)])


KEY = "SDXL-0123456789abcdef"


@pytest.mark.parametrize("data", [
    _foreign("../../x-0123456789abcdef.jpg", "x.json", "x.txt"),
    _foreign(*(f"../{KEY}.{extension}" for extension in ("jpg", "json", "txt"))),
    _foreign(*(f"__{KEY}\n.{extension}" for extension in ("jpg", "json", "txt"))),
    _foreign(*(f"{KEY}.{extension}" for extension in ("json", "jpg", "txt"))),
    _foreign(f"{KEY}.jpg", f"{KEY}.json"),
    _foreign(f"{KEY}.jpg", f"{KEY}.json", "SDXL-0123456789abcdee.txt"),
    _foreign(*(f"{KEY}.{extension}" for extension in ("jpg", "json", "txt")), kind=tarfile.SYMTYPE),
    _foreign(*(f"{KEY}.{extension}" for extension in ("jpg", "json", "txt")), size=2**80),
    _foreign(*(f"{KEY}.{extension}" for extension in ("jpg", "json", "txt")), size=-512),
    _foreign("x" * 200),
    b"\0" * 511,
    b"PAR1" * 1000,
])  # fmt: skip
def test_a_tar_that_is_not_ours_has_no_index(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "train-00000.tar"
    path.write_bytes(data)
    with pytest.raises(BuildError, match=r"train-00000\.tar: it "):
        list(read_index(path, "train"))


def test_an_index_has_the_rows_that_its_tars_should_have(tmp_path: Path) -> None:
    (shard,) = write(tmp_path, [[make_row(1), make_row(2)]])
    with pytest.raises(BuildError, match="it has 2 samples, and should have 3"):
        write_index(
            tmp_path / "index.parquet", tmp_path, [shard.model_copy(update={"num_rows": 3})]
        )  # fmt: skip


def test_a_tar_is_what_tar_programs_expect(tmp_path: Path) -> None:
    rows = awkward_rows()
    (shard,) = write(tmp_path, [rows])
    with tarfile.open(fileobj=io.BytesIO((tmp_path / shard.path).read_bytes()), mode="r|") as tar:
        names = [member.name for member in tar]
    keys = [f"{row['generator']}-{row['image_id']}" for row in rows]
    assert names == [f"{key}.{extension}" for key in keys for extension in ("jpg", "json", "txt")]


def test_the_list_of_tars_has_the_samples_of_each_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "webdataset"
    folder.mkdir()
    rows = awkward_rows()
    shards = write(folder, [rows[:7], rows[7:]])
    write_sizes(tmp_path / SIZES_PATH, shards)
    assert list(check_sizes(tmp_path, shards)) == []
    sizes = json.loads((tmp_path / SIZES_PATH).read_text())
    assert list(sizes.items()) == [("train-00000.tar", 7), ("train-00001.tar", len(rows) - 7)]
    samples = read_webdataset([folder / name for name in sizes])
    assert [json.loads(sample["json"])["image_id"] for sample in samples] == [row["image_id"] for row in rows]
    (problem,) = check_sizes(tmp_path, shards[::-1])
    assert "in order" in problem.message
    (tmp_path / SIZES_PATH).unlink()  # as in releases of older kits
    assert list(check_sizes(tmp_path, shards)) == []
