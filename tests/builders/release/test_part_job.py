"""Part jobs are plain data: other processes write the same files from them."""

from __future__ import annotations

import csv
import hashlib
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import pytest

from builders.catalog import Catalog
from builders.catalog.reader import SourceReader
from builders.features.encoding import Features
from builders.features.store import FeatureStore
from builders.images.files import ImageFile
from builders.parallel import IN_THREADS, Executor, Threads
from builders.pipeline import Notes, build_release, describe_inputs, plan_build
from builders.release.part_job import PackedGroup, PartJob, write_part_job
from builders.sources.generation import open_generation
from builders.sources.images.sfhq import TABLE_NAME
from builders.sources.intake import Source
from publish.run.encoders import open_encoders
from publish.run.settings import Flags, load_settings, open_sources
from schemas.configs import Table
from schemas.manifest import Manifest
from schemas.problems import BuildError, Reason
from schemas.settings import BuildSettings
from tests.support import ROOT, SfhqFolder, request_record, tree_digest, write_requests

pytestmark = pytest.mark.slow  # two whole builds, and processes that import everything
L = TypeVar("L")
T = TypeVar("T")
R = TypeVar("R")


@dataclass
class Processes:
    """An executor in other processes; it notes the items as they travel."""

    num_workers: int = 2
    pickles: list[bytes] = field(default_factory=list)
    shares_memory: bool = False

    def map_loaded(
        self,
        load: Callable[[], L],
        function: Callable[[L, T], R],
        items: Iterable[T],
        *,
        uses_gpu: bool = False,
    ) -> Iterator[tuple[T, R]]:
        raise NotImplementedError  # parts need nothing loaded

    def map_ordered(
        self, function: Callable[[T], R], items: Iterable[T], *, chunk: int = 1
    ) -> Iterator[tuple[T, R]]:
        # A new interpreter: one that is forked has threads of this one.
        with ProcessPoolExecutor(self.num_workers, get_context("spawn")) as pool:
            listed = list(items)
            self.pickles += [pickle.dumps(item) for item in listed]
            yield from zip(listed, pool.map(function, listed, chunksize=chunk), strict=True)

    def map_unordered(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        # The last first: nothing in a release depends on the order in which parts are finished.
        yield from reversed(list(self.map_ordered(function, items)))


class Noted(Processes):
    """Threads that note the jobs as they travel."""

    def map_unordered(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        listed = list(items)
        self.pickles += [pickle.dumps(item) for item in listed]
        return Threads(1).map_unordered(function, listed)


def build(out: Path, parts: Executor) -> Path:
    """Build a release of the sample: images, captions, votes, requests and features, in two splits."""
    settings = load_settings(ROOT / "release.toml", Flags())
    notes = Notes((ROOT / "CITATION.cff").read_text(), (ROOT / "CHANGELOG.md").read_text())
    out.mkdir()
    sources = open_sources(settings, ROOT, out)
    encoders = open_encoders(settings, ROOT, sources)
    sources = *sources, *add_requests(out / "sample", sources[0].name)
    content = settings.content_with({name: encoder.provenance for name, encoder in encoders.items()})
    content = content.model_copy(update={"build": BuildSettings(splits={"validation": 0.3})})
    (out / "embedded").mkdir()
    with closing(Catalog(out / "catalog.sqlite", content.build.splits)) as catalog, FeatureStore() as store:
        entries = SourceReader(catalog, content.build, out / "embedded").read(sources)
        plan = plan_build(catalog, describe_inputs("1.0", content, entries, notes), None)
        execution = replace(IN_THREADS, parts=parts)
        build_release(out / "1.0", catalog, plan, notes, Features(store, encoders), execution)
    return out / "1.0"


def add_requests(folder: Path, name: str) -> tuple[Source, ...]:
    """Write requests for the images of the sample, which has none, and open them."""
    with (folder / TABLE_NAME).open(encoding="utf-8", newline="") as table:
        sample = SfhqFolder(folder, list(csv.reader(table))[1:])
    write_requests(folder, [request_record(sample, number) for number in range(len(sample.rows))])
    return open_generation(folder, name)


@pytest.fixture(scope="module")
def by_threads(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[PartJob]]:
    """Return a release that threads wrote, and its jobs."""
    noted = Noted()
    release = build(tmp_path_factory.mktemp("threads") / "out", noted)
    return release, [pickle.loads(data) for data in noted.pickles]


def test_other_processes_write_the_same_release(
    by_threads: tuple[Path, list[PartJob]], tmp_path: Path
) -> None:
    processes = Processes()
    release = build(tmp_path / "out", processes)
    assert tree_digest(release) == tree_digest(by_threads[0])
    assert "manifest.json" in tree_digest(release)
    assert len(processes.pickles) == len(by_threads[1]) >= 2 * len(Table)


def test_a_job_is_plain_data_and_writes_the_same_files_again(
    by_threads: tuple[Path, list[PartJob]], tmp_path: Path
) -> None:
    release, jobs = by_threads
    assert {job.part.table for job in jobs} == set(Table)
    written = [shard for job in jobs for shard in write_part_job(replace(job, folder=tmp_path))]
    expected = Manifest.model_validate_json((release / "manifest.json").read_bytes()).shards
    assert sorted(written, key=str) == sorted(expected, key=str)


def test_two_parts_of_a_split_are_written_at_the_same_time(
    by_threads: tuple[Path, list[PartJob]], tmp_path: Path
) -> None:
    """As a cluster does: in one folder, and each as it is written alone."""
    job = next(job for job in by_threads[1] if job.part.table is Table.IMAGES)
    jobs = [replace(job, folder=tmp_path, part=replace(job.part, number=number)) for number in range(4)]
    written = [shard for _, shards in Threads(4).map_unordered(write_part_job, jobs) for shard in shards]
    alone = {
        (shard.config, shard.sha256) for shard in write_part_job(replace(job, folder=tmp_path / "alone"))
    }
    assert {(shard.config, shard.sha256) for shard in written} == alone
    assert len({shard.path for shard in written}) == 4 * len(alone)
    for shard in written:
        assert hashlib.sha256((tmp_path / shard.path).read_bytes()).hexdigest() == shard.sha256


def test_a_group_is_packed_small(by_threads: tuple[Path, list[PartJob]]) -> None:
    for job in by_threads[1]:
        assert sum(group.num_records for group in job.groups) == job.part.num_rows
        for group in job.groups:
            records = group.unpack()
            assert len(records) == group.num_records
            assert len(group.data) < len(pickle.dumps(records))


def test_an_error_of_another_process_keeps_its_problems(
    by_threads: tuple[Path, list[PartJob]], tmp_path: Path
) -> None:
    job = next(job for job in by_threads[1] if job.part.table is Table.IMAGES)
    records = job.groups[0].unpack()
    moved = [
        replace(
            each, files=[replace(file, file=ImageFile(tmp_path / "gone.jpg")) for file in each.files if file]
        )
        for each in records
    ]
    broken = replace(job, folder=tmp_path, groups=(PackedGroup.pack(0, moved),))
    with pytest.raises(BuildError, match=r"gone\.jpg: the image changed while") as caught:
        list(Processes(1).map_ordered(write_part_job, [broken]))
    assert [problem.reason for problem in caught.value.problems] == [Reason.SOURCE]
