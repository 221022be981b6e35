"""Similar pictures: the page sorts by cosine similarity as NumPy does, however the vectors are written."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from publish.checks.files import read_manifest
from publish.explorer.space import write_space
from schemas.manifest import MANIFEST_NAME
from tests.browser import open_page
from tests.publish.explorer.serving import serve
from tests.publish.explorer.test_views import ids_on_wall, wait_for_wall
from tests.support import copy_folder

pytestmark = pytest.mark.slow

NUM_ROWS, DIMENSION = 60, 48
_PLAIN: Mapping[str, Any] = {"compression": "zstd", "use_dictionary": False}


@dataclass(frozen=True)
class Form:
    """How vectors are written.

    Attributes:
        writing: Options of pyarrow's writer.
        number: Arrow's type of a number.
        absent: Rows without a vector.
        is_plain: Whether the page reads it without the nested arrays of a Parquet reader.
    """

    writing: Mapping[str, Any] = field(default_factory=dict)
    number: pa.DataType = field(default_factory=pa.float32)
    absent: tuple[int, ...] = ()
    is_plain: bool = True


_V2 = {"data_page_version": "2.0"}
FORMS = {
    "one group": Form(),
    "groups and small pages": Form({"row_group_size": 7, "data_page_size": 256, "write_batch_size": 1}),
    "pages of version 2": Form({**_V2, "row_group_size": 25, "data_page_size": 512, "write_batch_size": 2}),
    "version 2, not compressed": Form({**_V2, "compression": "none"}),
    "float16": Form({"row_group_size": 13}, number=pa.float16()),
    "snappy": Form({"compression": "snappy"}),
    "a dictionary": Form({"use_dictionary": True, "row_group_size": 25}, is_plain=False),
    "bytes apart": Form({"column_encoding": {"embedding.list.element": "BYTE_STREAM_SPLIT"}}, is_plain=False),
    "nulls": Form({"row_group_size": 20}, absent=(0, 17, 41), is_plain=False),
    "nulls, version 2": Form({**_V2, "row_group_size": 20}, absent=(5, 6, 59), is_plain=False),
    "a group of nulls": Form({"row_group_size": 10}, absent=tuple(range(10)), is_plain=False),
}


IN_BROWSER = ("groups and small pages", "float16", "nulls", "a group of nulls")


def make_vectors() -> npt.NDArray[np.float32]:
    """Draw vectors of length 1, in numbers that float16 has, as releases have them."""
    vectors = np.random.default_rng(7).standard_normal((NUM_ROWS, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float16).astype(np.float32)


def write_vectors(path: Path, form: Form, vectors: npt.NDArray[Any], ids: list[str]) -> None:
    """Write vectors in one form."""
    rows = [None if row in form.absent else list(vector) for row, vector in enumerate(vectors)]
    if form.number == pa.float16():
        rows = [None if row is None else [np.float16(number) for number in row] for row in rows]
    kind = pa.list_(form.number, vectors.shape[1])
    columns = {"image_id": ids, "embedding": pa.array(rows, kind), "prompt_similarity": [0.5] * len(ids)}
    pq.write_table(pa.table(columns), path, **{**_PLAIN, **form.writing})


def replace_vectors(release: Path, form: Form) -> list[str]:
    """Put other vectors into a copy of the sample's release, and return the ids of its pictures."""
    manifest = read_manifest(release)
    (own,) = (
        each
        for each in manifest.shards
        if each.config.startswith("clip_") and not each.config.endswith("_captions")
    )
    path = release / own.path
    ids: list[str] = pq.read_table(path)["image_id"].to_pylist()
    write_vectors(path, form, make_vectors(), ids)
    new = own.model_copy(update={"num_bytes": path.stat().st_size})
    shards = tuple(new if each is own else each for each in manifest.shards)
    (release / MANIFEST_NAME).write_bytes(manifest.model_copy(update={"shards": shards}).to_json())
    return ids


def numpy_order(form: Form, row: int) -> list[int]:
    """Return the rows from the most similar on; those without a vector come last."""
    vectors = make_vectors().astype(np.float64)
    cosines = vectors @ vectors[row]
    cosines[list(form.absent)] = -np.inf
    return [int(each) for each in np.argsort(-cosines, kind="stable")]


@pytest.fixture(scope="module")
def served(sample_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """Serve a page for each form of vectors, and yield the address above them and the ids of the pictures."""
    base = tmp_path_factory.mktemp("likeness")
    for number, form in enumerate(FORMS[name] for name in IN_BROWSER):
        release = copy_folder(sample_release, base / f"release-{number}")
        ids = replace_vectors(release, form)
        write_space(base / f"page-{number}", read_manifest(release), f"../release-{number}/")
    files = StaticFiles(directory=base, html=True)
    with serve(lambda _: Starlette(routes=[Mount("/", files)])) as port:
        yield f"http://127.0.0.1:{port}/page-", ids


@pytest.mark.parametrize("name", IN_BROWSER)
def test_more_like_this_is_in_the_order_of_numpy(
    name: str, served: tuple[str, list[str]], browser: Any
) -> None:
    address, ids = served
    form, row = FORMS[name], 23
    with open_page(browser, viewport={"width": 1500, "height": 3000}) as page:
        page.goto(f"{address}{IN_BROWSER.index(name)}/#/pictures?like={ids[row]}")
        page.wait_for_selector(".score")
        wait_for_wall(page)
        found = [ids.index(each) for each in ids_on_wall(page)]
        assert found == numpy_order(form, row)[: len(found)]
        assert len(found) == NUM_ROWS
        if form.absent:
            page.evaluate("id => { location.hash = `#/pictures?like=${id}` }", ids[form.absent[0]])
            page.wait_for_selector("text=this picture has no vector")


# What the page does in its worker, in Node: `read` fails where the vectors are not read page by page.
SCRIPT = """
import { Table } from './tables.js'
import { readVectors } from './vectors.js'
const [base, files, plainOnly] = process.argv.slice(1)
const table = new Table(base, JSON.parse(files))
if (plainOnly === 'true') table.readGroup = () => { throw new Error('read as any Parquet') }
const { halves, dim } = await readVectors(table, table.numRows, () => {})
console.log(JSON.stringify({ halves: [...halves], dim }))
"""


def read_in_node(
    app: Path, folder: Path, *, plain_only: bool, wrap: Callable[[Any], Any] = lambda files: files
) -> tuple[npt.NDArray[np.float16], int]:
    """Read the vectors of the files in a folder as the page does, from a server that `wrap` may change."""
    files = [
        {"path": each.name, "num_bytes": each.stat().st_size, "num_rows": pq.read_metadata(each).num_rows}
        for each in sorted(folder.iterdir())
    ]
    with serve(lambda _: wrap(StaticFiles(directory=folder))) as port:
        command = [
            "node",
            "--input-type=module",
            "--eval",
            SCRIPT,
            f"http://127.0.0.1:{port}/",
            json.dumps(files),
            json.dumps(plain_only),
        ]
        told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=app)
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    return np.array(found["halves"], np.uint16).view(np.float16), found["dim"]


@pytest.mark.parametrize("name", FORMS)
def test_vectors_become_the_halves_of_numpy(name: str, app: Path, tmp_path: Path) -> None:
    form = FORMS[name]
    vectors = np.random.default_rng(1).standard_normal((NUM_ROWS, DIMENSION)).astype(np.float32)
    vectors[1, :8] = [0.0, -0.0, 1e-8, -2.98023224e-8, 6e-8, 6.1e-5, 1 / 3, 65504]
    with np.errstate(over="ignore"):
        expected = vectors.astype(np.float16)
    expected[list(form.absent)] = np.nan
    for number in range(2):  # files
        part = slice(number * 30, number * 30 + 30)
        absent = tuple(row - part.start for row in form.absent if part.start <= row < part.stop)
        own = Form(form.writing, form.number, absent, form.is_plain)
        write_vectors(tmp_path / f"{number}.parquet", own, vectors[part], ["id"] * 30)
    found, dim = read_in_node(app, tmp_path, plain_only=form.is_plain)
    assert dim == DIMENSION
    np.testing.assert_array_equal(found, expected.ravel())


def test_a_page_larger_than_a_part_is_read_whole(app: Path, tmp_path: Path) -> None:
    vectors = np.random.default_rng(2).standard_normal((1500, 1024)).astype(np.float32)
    form = Form({"compression": "none", "data_page_size": 10_000_000})
    write_vectors(tmp_path / "0.parquet", form, vectors, ["id"] * len(vectors))
    found, dim = read_in_node(app, tmp_path, plain_only=True)
    assert dim == 1024
    np.testing.assert_array_equal(found, vectors.astype(np.float16).ravel())


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("lengths", [(3, 5), (5, 3), (4, 4, 1, 7)])
def test_vectors_of_other_lengths_are_not_shifted(
    lengths: tuple[int, ...], version: str, app: Path, tmp_path: Path
) -> None:
    """All of them together are as long as vectors of 4 numbers."""
    vectors = [[1.0] * length for length in lengths * 4]
    table = pa.table(
        {"image_id": ["id"] * len(vectors), "embedding": pa.array(vectors, pa.list_(pa.float32()))}
    )
    pq.write_table(table, tmp_path / "0.parquet", **_PLAIN, data_page_version=version)
    with pytest.raises(AssertionError, match="there are vectors of"):
        read_in_node(app, tmp_path, plain_only=False)


@pytest.mark.parametrize("at", [4, 40, 400, 2000])
def test_damaged_vectors_are_told_with_their_file(at: int, app: Path, tmp_path: Path) -> None:
    path = tmp_path / "0.parquet"
    write_vectors(path, Form(), make_vectors(), ["id"] * NUM_ROWS)
    data = bytearray(path.read_bytes())
    place = pq.read_metadata(path).row_group(0).column(1).data_page_offset
    data[place : place + at] = b"\xff" * at
    path.write_bytes(data)
    with pytest.raises(AssertionError, match=r"0\.parquet cannot be read: "):
        read_in_node(app, tmp_path, plain_only=False)
