"""The documents are true: their commands run, their flags, links and paths exist, their words are plain."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from publish.export import main as export
from publish.release import main
from schemas.codes import write_table
from tests.exports import REAL_RECORD
from tests.support import ROOT, good_folder, image_bytes

PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in (
        *("README.md", "RELEASING.md", "PUBLISHING.md", "GENERATING.md", "CAPTIONING.md"),
        "EXPLORING.md",
        "CAMPAIGNS.md",
        *(
            "benchmarks/README.md",
            "benchmarks/SCALE.md",
        ),
        *("CONTRIBUTING.md", "DECISIONS.md", "GLOSSARY.md", "CHANGELOG.md", "READERS.md"),
    )
}
README = PAGES["README.md"]
# Their `sh` blocks run, in this order.
RUN = (
    *("README.md", "RELEASING.md", "GENERATING.md", "CAPTIONING.md", "CAMPAIGNS.md"),
    *("benchmarks/README.md", "benchmarks/SCALE.md"),
)
# From the project's style; the changelog's part on the dataset is an input of releases and stays as it is.
BANNED = re.compile(r"\b(nobody|somebody|whoever|anew|mend(s|ed)?|but for|(is|are) told)\b", re.IGNORECASE)
HELD_TO_STYLE = PAGES.keys() - {"CHANGELOG.md"}


def commands() -> list[str]:
    """List the commands of the `sh` blocks, without their comments."""
    blocks = [block for name in RUN for block in re.findall(r"```sh\n(.*?)```", PAGES[name], re.DOTALL)]
    return [line.split(" #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def prose(page: str) -> str:
    """Return a page without its fenced blocks, in which `#` begins a comment."""
    return re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)


def anchors(page: str) -> list[str]:
    """List the anchors that a Markdown viewer gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the project, with a folder to release, as a user has it."""
    place = tmp_path_factory.mktemp("checkout") / "kit"
    ignored = shutil.ignore_patterns(".venv", "dist", ".git", ".*_cache", "__pycache__", ".hypothesis")
    shutil.copytree(ROOT, place, ignore=ignored)
    folder = good_folder(place / "path" / "to" / "SFHQ-T2I")
    folder.write()
    (place / "path" / "to" / "pngs").mkdir()
    for number in range(3):
        data = image_bytes(number, "PNG")
        (place / "path" / "to" / "pngs" / f"{number}.png").write_bytes(data)
    first, second = (row[0] for row in folder.rows[:2])
    line = json.dumps({"file_name": first, "caption": "a caption"})
    (place / "path" / "to" / "captions.jsonl").write_text(line)
    record = REAL_RECORD | {"images": {"image_1": first, "image_2": second, "prompt": "a prompt"}}
    (place / "path" / "to" / "votes.jsonl").write_text(json.dumps(record))
    return place


def run(command: str, checkout: Path) -> None:
    """Run one command of a document where a user would, with this environment for `.venv`."""
    venv = Path(sys.prefix)
    environment = {**os.environ, "PATH": f"{venv / 'bin'}:{os.environ['PATH']}"}
    words = shlex.split(command)
    if words[0] == ".":  # the environment is `venv`
        return
    if words[0] == "make":  # the environment is set up already; `make test` is what runs this
        dry = ["--dry-run"] if words[1] == "test" else []
        words = [*words, *dry, f"VENV={venv}", f"--old-file={venv}/.ready"]
    if words[0] == "sfhq":  # installed from another copy of the code: the same `main`, here
        words = ["python", "-m", f"publish.{words[1]}", *words[2:]]
    done = subprocess.run(words, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_every_command_runs(checkout: Path) -> None:
    listed = commands()
    assert len(listed) >= 6
    for command in listed:
        if not command.startswith("python benchmarks/"):
            run(command.replace("--count 200", "--count 20"), checkout)  # drawing takes a quarter of a second
    assert {path.name for path in (checkout / "dist").iterdir()} == {
        *("1.0", "1.1", "1.2", "1.4", "1.4.1", "1.5", "2.0"),
        *("checked.txt", "known-files.txt", "features.sqlite", "receipts"),
    }


BENCHMARKS = [command for command in commands() if command.startswith("python benchmarks/")]
SMALLER = {  # what each benchmark runs with here, after the flags of the document
    "build": "--images 20 40 --size 64 --trial --work {work}",
    "upload": "--images 100 --average-kb 5 --changes '1 % removed' --work {work}",
    "full_size": "--images 40 --size 64 --out {work}",
    "votes": "--responses 300 --repeats 1",
    "features": "--images 20 --size 64 --repeats 1 --model ViT-S-32-alt --work {work}",
    "search": "--images 2000 --queries 2",
    "duplicates": "--images 2000",
    "stages": "--images 10 30 --size 64 --work {work}",
    "catalog": "--rows 300",
    "explorer": "--images 60 --steps 3",
    "voting": "--people 5 --votes 3 --pause 0.01 --work {work}",
}


def test_a_document_has_the_command_of_every_benchmark() -> None:
    assert {Path(command.split()[1]).stem for command in BENCHMARKS} == SMALLER.keys()


@pytest.mark.slow
@pytest.mark.parametrize("command", BENCHMARKS)
def test_the_benchmarks_run(command: str, checkout: Path, tmp_path: Path) -> None:
    run(f"{command} {SMALLER[Path(command.split()[1]).stem].format(work=tmp_path)}", checkout)


def test_the_python_example_runs(sample_release: Path, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    script = example.replace("dist/1.0", str(sample_release))
    done = subprocess.run(
        [sys.executable, "-I", "-c", script],
        env={**os.environ, "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "heading", "elsewhere"),
    [
        (main, "Flags of the release command", set()),
        (export, "Export a release for a trainer", {"--layout", "--out"}),  # in the examples of that section
    ],
)
def test_the_table_of_flags_is_the_commands(
    command: Callable[[list[str]], int], heading: str, elsewhere: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command(["--help"])
    flags = set(re.findall(r"--[a-z-]+[a-z]", capsys.readouterr().out)) - {"--help"}
    (section,) = re.findall(rf"^## {heading}\n(.*?)^## ", PAGES["RELEASING.md"], re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE)) | elsewhere == flags


def test_the_picture_is_what_a_release_draws(sample_release: Path) -> None:
    with Image.open(ROOT / "sample.jpg") as shown, Image.open(sample_release / "figures/sample.jpg") as drawn:
        difference = ImageChops.difference(shown.convert("RGB"), drawn.convert("RGB"))
        assert max(ImageStat.Stat(difference).mean) < 2


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        place, _, anchor = link.partition("#")
        if place.startswith("https://"):
            continue
        target = ((ROOT / page).parent / place).resolve() if place else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(str(target.relative_to(ROOT))), link


@pytest.mark.parametrize("page", PAGES)
def test_paths_exist(page: str) -> None:
    folders = "schemas|builders|publish|tests|benchmarks"
    for path in re.findall(rf"`((?:{folders})/[\w./]+)`", PAGES[page]):
        assert (ROOT / path).exists(), path


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("page", sorted(HELD_TO_STYLE))
def test_words_are_plain(page: str) -> None:
    found = [match[0] for match in BANNED.finditer(re.sub(r"\s+", " ", PAGES[page]))]
    assert not found


@pytest.mark.parametrize("page", sorted(HELD_TO_STYLE))
def test_no_heading_is_repeated(page: str) -> None:
    assert len(anchors(page)) == len(set(anchors(page)))


def test_the_table_of_failures_is_the_one_that_the_kit_writes() -> None:
    assert f"\n{write_table()}\n" in (ROOT / "PUBLISHING.md").read_text(encoding="utf-8")
