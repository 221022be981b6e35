"""The house: caps on size, no import cycle, and the few things that have one place."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support import ROOT

MAX_MODULE_LINES, MAX_FUNCTION_LINES = 500, 60
ROOMS = ("schemas", "builders", "publish")


def modules() -> Iterator[tuple[str, Path, ast.Module]]:
    """Yield the dotted name, the path and the tree of each module of the kit."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield name, path, ast.parse(path.read_text(encoding="utf-8"))


def test_no_module_and_no_function_is_too_long() -> None:
    found = []
    for name, path, tree in modules():
        num_lines = len(path.read_text(encoding="utf-8").splitlines())
        if num_lines > MAX_MODULE_LINES:
            found.append(f"{name}: {num_lines} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    found.append(f"{name}.{node.name}: {length} lines")
    assert not found, (
        f"cut these: a module has at most {MAX_MODULE_LINES} lines, a function {MAX_FUNCTION_LINES}"
    )


def imports(tree: ast.Module, names: set[str]) -> Iterator[str]:
    """Yield the modules of the kit that a module imports when it is imported."""
    body = list(tree.body)
    while body:
        node = body.pop()
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in names else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.If | ast.Try | ast.With) and "TYPE_CHECKING" not in ast.dump(node):
            body += [*node.body, *getattr(node, "orelse", [])]


def test_no_import_cycle() -> None:
    listed = list(modules())
    names = {name for name, _, _ in listed}
    graph = {
        name: {other for other in imports(tree, names) if other in names - {name}} for name, _, tree in listed
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these import each other: {' → '.join(error.args[1])}")


# What builders and schemas may import of libraries that also have a network. import-linter knows whole
# packages of others only.
WITHOUT_NETWORK = {
    "urllib": {"urllib.parse"},
    "huggingface_hub": {"huggingface_hub.DatasetCardData"},  # writes the card's YAML
}


def test_only_publish_imports_what_has_a_network() -> None:
    found = []
    for name, _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for each in imported:
                allowed = WITHOUT_NETWORK.get(each.partition(".")[0])
                is_allowed = allowed is None or any(f"{each}.".startswith(f"{one}.") for one in allowed)
                if not name.startswith("publish") and not is_allowed:
                    found.append(f"{name} imports {each}")
    assert not found, "only publish has a network"


def test_only_the_card_and_publish_import_the_hubs_client() -> None:
    users = {
        name
        for name, _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and "huggingface_hub" in ast.unparse(node)
    }
    assert {name for name in users if not name.startswith("publish")} == {
        "builders.card.readme",
        "builders.card.export",
    }


def test_only_one_module_starts_pools() -> None:
    starters = {
        name
        for name, _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in ("ThreadPoolExecutor", "ProcessPoolExecutor", "Pool")
    }
    assert starters == {"builders.parallel"}


def test_only_one_module_repeats_requests() -> None:
    """Other modules hand their requests to `retry`, and wait with the clock that they are given."""
    libraries = {
        name
        for name, _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        and {"stamina", "tenacity", "backoff"}
        & {
            module.partition(".")[0]
            for module in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        }
    }
    assert libraries == {"publish.network"}
    sleepers = {
        name
        for name, _, tree in modules()
        if name.partition(".")[0] == "publish"
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and ast.unparse(node) == "time.sleep")
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "time"
            and any(alias.name == "sleep" for alias in node.names)
        )
    }
    assert sleepers == {"publish.network"}


# Who reads Parquet with pyarrow itself. Everybody else asks `builders.release.reader`.
PARQUET_READERS = {
    "builders.release.reader": "the files of a release",
    "builders.release.formats.parquet": "asks pyarrow for the leaves of a schema, in memory",
    "builders.sources.tables.parquet": "the maintainer's tables, which are no release",
    "publish.checks.consumer": "`datasets` alone, no code of ours; it takes an option for that from pyarrow",
}
READS_OF_PARQUET = {
    "ParquetFile",
    "ParquetDataset",
    "ParquetReader",
    "read_table",
    "read_pandas",
    "read_metadata",
    "read_schema",
}


def test_only_the_reader_of_releases_reads_their_parquet() -> None:
    readers = set()
    for name, _, tree in modules():
        for node in ast.walk(tree):
            is_module = isinstance(node, ast.Attribute) and ast.unparse(node.value) in (
                "pq",
                "parquet",
                "pa.parquet",
                "pyarrow.parquet",
            )
            if isinstance(node, ast.Attribute) and is_module and node.attr in READS_OF_PARQUET:
                readers.add(name)
            # By another name, a reader could not be found above.
            if isinstance(node, ast.ImportFrom) and node.module in ("pyarrow.parquet", "pyarrow.dataset"):
                readers.add(name)
            if isinstance(node, ast.Import) and any(
                alias.name.startswith("pyarrow.dataset")
                or (alias.name == "pyarrow.parquet" and alias.asname not in ("pq", None))
                for alias in node.names
            ):
                readers.add(name)
    assert readers == set(PARQUET_READERS)
