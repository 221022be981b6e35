"""Settings: every mistake told at once, with its place and the nearest right key."""

import json
from pathlib import Path

import pytest

from publish.release import main
from publish.run.settings import Flags, load_settings
from schemas.generators import KNOWN_TERMS, Conditions, DeclaredGenerator, find_generator
from schemas.problems import SettingsError
from tests.support import ROOT, good_folder, tree_digest

GOOD = """
[dataset]
name = "faces"
title = "Faces"
repository = "org/faces"
summary = "Faces."
[[sources]]
kind = "sample"
"""


KAGGLE = f"""{GOOD}
[kaggle]
dataset = "org/faces-of-nobody"
title = "Faces of nobody"
subtitle = "Portraits by five text-to-image models"
"""


def write(tmp_path: Path, text: str) -> Path:
    """Write a settings file."""
    path = tmp_path / "release.toml"
    path.write_text(text)
    return path


def test_the_shipped_settings_are_good_and_build_the_sample() -> None:
    settings = load_settings(ROOT / "release.toml")
    assert [source.kind for source in settings.sources] == ["sample"]
    assert settings.release.to == ("folder",)


def test_flags_go_before_the_file(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD), Flags(sfhq=[Path("a"), Path("b")], to=["folder"]))
    assert [source.kind for source in settings.sources] == ["sfhq", "sfhq"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[dataset", "not TOML"),
        ("", "dataset: Field required"),
        (GOOD.replace("title", "titel"), "dataset.titel: there is no such key → did you mean title?"),
        (GOOD.replace('"faces"', '"My Faces"'), "dataset.name"),
        (GOOD.replace("org/faces", "faces"), "dataset.repository"),
        (GOOD.replace('"sample"', '"sfqh"'), "did you mean sfhq?"),
        (GOOD.replace('"sample"', '"sfhq"'), "a source needs a path"),
        (GOOD + 'path = "x"', "the sample takes no path"),
        (GOOD + '[release]\nto = ["hug"]', "there is no target 'hug'"),
        (GOOD + '[release]\nto = ["kaggle"]', "kaggle: publishing to Kaggle needs this table"),
        (GOOD + "[hub]\nprivat = true", "hub.privat: there is no such key → did you mean private?"),
        (KAGGLE + 'titel = "x"', "kaggle.titel: there is no such key → did you mean title?"),
        (KAGGLE.replace("faces-of-nobody", "Faces!"), "kaggle.dataset"),
        (KAGGLE + 'license = "MIT"', "Kaggle does not know this licence"),
        (GOOD + '[release]\nformats = { kaggle = ["parquet", "webdataset"] }', "Kaggle would unpack"),
        (GOOD + '[release]\nformats = { hub = ["webdataset"] }', "the formats of hub lack 'parquet'"),
        (
            GOOD + '[release]\nformats = { folder = ["parquet"], hub = ["parquet", "webdataset"] }',
            "the formats of hub hold what those of folder lack",
        ),
        (GOOD + "[release]\nto = []", "release.to"),
        (GOOD + "[build]\nmax_shard_bytes = 5", "build.max_shard_bytes"),
        (GOOD + '[build]\nmax_image_bytes = "1 MB"', "build.max_image_bytes"),
        (GOOD.split("[[sources]]", maxsplit=1)[0], "sources: there must be at least one source"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, text))
    assert says in str(caught.value)
    assert "release.toml" in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("title", "titel").replace("org/faces", "faces").replace('"sample"', '"sampel"')
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, text))
    assert len(caught.value.problems) == 4


def test_broken_rules_of_kaggle_are_told_with_all_other_mistakes(tmp_path: Path) -> None:
    text = KAGGLE.replace("Faces of nobody", "Faces").replace('"Faces."', '""').replace("Portraits", "")
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, text.replace("faces-of-nobody", "Faces!") + 'license = "MIT"'))
    assert [problem.column for problem in caught.value.problems] == [
        *("dataset.summary", "kaggle.dataset", "kaggle.title", "kaggle.license"),
    ]


@pytest.mark.parametrize(
    ("formats", "hub", "kaggle"),
    [
        ("{}", ["parquet", "webdataset"], ["parquet"]),
        ('{ folder = ["parquet"] }', ["parquet"], ["parquet"]),
        ('{ hub = ["parquet"] }', ["parquet"], ["parquet"]),
    ],
)
def test_hosts_are_given_what_the_folder_has_and_kaggle_no_tars(
    formats: str, hub: list[str], kaggle: list[str], tmp_path: Path
) -> None:
    settings = load_settings(write(tmp_path, GOOD + f"[release]\nformats = {formats}"))
    given = settings.content_with({}).formats
    assert ([*given["hub"]], [*given["kaggle"]]) == (hub, kaggle)


def test_two_sources_of_one_name_are_a_question_not_a_guess(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [good_folder(tmp_path / place / "data").write() for place in "ab"]
    config = write(tmp_path, GOOD)
    for name in ("CITATION.cff", "CHANGELOG.md"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    arguments = ["--version", "1.0", "--config", str(config), "--out", str(tmp_path / "dist")]
    assert main([*arguments, "--sfhq", str(folders[0]), "--sfhq", str(folders[1])]) == 2
    assert "two sources have this name" in capsys.readouterr().err


def test_the_output_may_not_lie_in_a_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = good_folder(tmp_path / "good").write()
    before = tree_digest(folder)
    arguments = ["--version", "1.0", "--config", str(ROOT / "release.toml"), "--sfhq", str(folder)]
    assert main([*arguments, "--out", str(folder / "dist")]) == 2
    assert "which is only ever read" in capsys.readouterr().err
    assert tree_digest(folder) == before


def test_problems_of_all_sources_and_notes_are_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(tmp_path, GOOD)
    arguments = ["--version", "1.0", "--config", str(config), "--out", str(tmp_path / "dist")]
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert "CITATION.cff: the file cannot be read" in err
    assert "CHANGELOG.md: the file cannot be read" in err
    for name in ("CITATION.cff", "CHANGELOG.md"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    assert main([*arguments, "--sfhq", str(tmp_path / "x"), "--sfhq", str(tmp_path / "y")]) == 1
    err = capsys.readouterr().err
    assert err.count("there is no such folder") == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "not YAML"),
        ("- a", "not a mapping"),
        ("title: x", "CITATION.cff:authors: the key is missing"),
    ],
)
def test_a_bad_citation_is_refused_before_any_work(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(tmp_path, GOOD)
    (tmp_path / "CITATION.cff").write_text(text)
    (tmp_path / "CHANGELOG.md").write_text("")
    assert main(["--version", "1.0", "--config", str(config), "--out", str(tmp_path / "dist")]) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (
            'languages = ["en", "norwegian bokmal"]',
            "dataset.languages: the Hub knows no language by this code",
        ),
        ('languages = ["EN"]', "did you mean en?"),
        ('languages = ["xx"]', "write a code of ISO 639"),
        ('description = """\nHow:\n```python\nload()\n"""', "dataset.description: the code fence in line 2"),
        ('biases = """\n~~~~\n~~~\n"""', "dataset.biases: the code fence in line 1"),
        (f'limitations = "{"long " * 400_000}"', "dataset.limitations: the text has 2,000,000 characters"),
    ],
    ids=["words", "capitals", "unknown", "fence", "short fence", "long text"],
)
def test_what_the_hub_or_the_card_cannot_take_is_refused_before_building(
    setting: str, says: str, tmp_path: Path
) -> None:
    text = GOOD.replace('summary = "Faces."', f'summary = "Faces."\n{setting}')
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, text))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [
        'languages = ["en", "nob", "multilingual", "no"]',
        'description = """\n```python\nload()\n```\n\n~~~ text\n```\n~~~~\n"""',
        'description = "Call ```load()``` once."',
    ],
)
def test_languages_and_code_that_are_right_are_taken(setting: str, tmp_path: Path) -> None:
    load_settings(write(tmp_path, GOOD.replace('summary = "Faces."', f'summary = "Faces."\n{setting}')))


ENTRY = {
    "name": "Mine",
    "title": "My model",
    "url": "https://x.example",
    "license": "my-terms",
    "license_name": "My terms",
    "license_url": "https://x.example/terms",
    "license_summary": "Anything goes.",
    "license_conditions": "none",
}
KNOWN = {key: value for key, value in ENTRY.items() if not key.startswith("license_")} | {
    "license": "apache-2.0"
}


def declare(*entries: dict[str, str]) -> str:
    """Write `[[generators]]` entries after the other settings."""
    tables = ("".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items()) for entry in entries)
    return GOOD + "".join(f"[[generators]]\n{table}" for table in tables)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (
            [ENTRY | {"name": "SDXL"}],
            "generators.name: the kit knows this generator and its terms (value: 'SDXL')",
        ),
        (
            [ENTRY, ENTRY | {"title": "Other"}],
            "generators.name: 2 entries declare this generator (value: 'Mine')",
        ),
        ([ENTRY | {"title": "DALL-E 3"}], "generators.title: two generators have this title"),
        ([ENTRY | {"name": "a|b"}], "generators.0.name: leave out |"),
        ([ENTRY | {"title": "a\nb"}], "generators.0.title: write one line"),
        (
            [ENTRY | {"license_conditions": "few"}],
            "'none', 'forbidden uses', 'no training of competing models'",
        ),
        (
            [KNOWN | {"license": "my-terms"}],
            "the terms 'my-terms' need license_name, license_url, license_summary",
        ),
        (
            [KNOWN | {"license_name": "Apache"}],
            "the kit knows the terms 'apache-2.0': leave out license_name",
        ),
        (
            [ENTRY, ENTRY | {"name": "B", "title": "B", "license_summary": "No."}],
            "generators.license: entries with this licence explain it in different words (value: 'my-terms')",
        ),
        (
            [ENTRY | {"name": "stabilityai/stable-diffusion-3.5-large"}],
            "(value: 'my-terms') → write license = \"stability-ai-community-license\"",
        ),
        ([ENTRY | {"licence": "x"}], "generators.0.licence: there is no such key → did you mean license?"),
    ],
)
def test_a_generator_is_declared_once_with_one_meaning(
    entries: list[dict[str, str]], says: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, declare(*entries)))
    assert says in str(caught.value)


def test_the_page_shows_a_whole_entry_and_every_known_licence(tmp_path: Path) -> None:
    page = (ROOT / "RELEASING.md").read_text(encoding="utf-8")
    section = page.partition("\n## Declare a generator\n")[2].partition("\n## ")[0]
    example = section.partition("```toml\n")[2].partition("```")[0]
    (declared,) = load_settings(write(tmp_path, GOOD + example)).generators
    assert declared.model_fields_set == DeclaredGenerator.model_fields.keys()
    assert {name for name in KNOWN_TERMS if f"`{name}`" in section} == KNOWN_TERMS.keys()
    assert {each for each in Conditions if f"`{each}`" in section} == set(Conditions)


def test_declared_generators_are_part_of_the_content_and_reach_sources(tmp_path: Path) -> None:
    pick = KNOWN | {"name": "black-forest-labs/FLUX.1-dev", "title": "FLUX.1 dev, by its Hub name"}
    pick["license"] = "flux-1-dev-non-commercial-license"
    settings = load_settings(write(tmp_path, declare(ENTRY, pick)))
    declared = settings.content_with({}).generators
    assert [each.generator.terms.id for each in declared] == ["my-terms", pick["license"]]
    assert find_generator("Mine", [each.generator for each in declared]) == declared[0].generator
    assert find_generator("mine", [each.generator for each in declared]) is None


@pytest.mark.parametrize("flag", ["--sfhq", "--captions", "--preferences", "--out", "--config"])
def test_an_empty_path_is_not_the_current_folder(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version", "1.0", flag, " "])
    assert caught.value.code == 2
    assert f"{flag}: the path is empty" in capsys.readouterr().err


def test_an_empty_path_of_a_source_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace('kind = "sample"', 'kind = "sfhq"\npath = ""')
    with pytest.raises(SettingsError, match=r"sources\.0\.path"):
        load_settings(write(tmp_path, text))
