"""Searching a release: what is found, what is said of it, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from builders.features.encoder import load_encoder
from builders.release.embeddings import SearchedRelease
from builders.release.reader import ReleaseReader
from publish.checks.files import read_manifest
from publish.providers.weights import find_model_files
from publish.run.searching import open_encoder
from publish.search import main
from schemas.features import FeatureSettings
from schemas.problems import SettingsError
from tests.support import copy_folder, image_bytes


def found(out: str) -> list[list[str]]:
    """Return the cells that a search shows: rank, similarity, id, file name, generator, prompt."""
    lines = [line.split(maxsplit=5) for line in out.splitlines()]
    return [cells for cells in lines if cells and cells[0].isdecimal()]


def prompts_of(release: Path) -> dict[str, str]:
    """Return the images' prompts by id."""
    table = pq.read_table(release / "prompts", columns=["image_id", "prompt"])
    return dict(zip(table["image_id"].to_pylist(), table["prompt"].to_pylist(), strict=True))


def test_a_text_finds_what_it_says_and_the_encoder_is_named(
    sample_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tmp_path / "figures" / "out.jpg"
    job = ["a person with green hair", "--release", str(sample_release), "-k", "3", "--figure", str(figure)]
    assert main(job) == 0
    out = capsys.readouterr().out
    rows = found(out)
    assert [row[0] for row in rows] == ["1", "2", "3"]
    heads = next(line for line in out.splitlines() if line.split()[:1] == ["rank"])
    assert heads.split() == ["rank", "similarity", "image", "id", "file", "name", "generator", "prompt"]
    line = next(line for line in out.splitlines() if rows[0][2] in line)
    for head, cell in (("image id", rows[0][2]), ("file name", rows[0][3]), ("generator", rows[0][4])):
        assert line[heads.index(head) :].startswith(f"{cell} ")
    prompts = prompts_of(sample_release)
    assert sum("green" in prompts[row[2]] for row in rows) >= 2
    similarities = [float(row[1]) for row in rows]
    assert similarities == sorted(similarities, reverse=True)
    assert all(row[5].removesuffix("…") in prompts[row[2]] for row in rows)
    assert "demonstration encoder, sfhq-demo" in out
    assert "knows nothing of photographs" in out
    with Image.open(figure) as image:
        assert (image.format, image.width > 600, image.height > 200) == ("JPEG", True, True)


def test_words_that_the_demonstration_encoder_does_not_know_are_named(
    sample_release: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = ["--release", str(sample_release), "-k", "2"]
    assert main(["a person with green xylophone hair, elderly", *job]) == 0
    told = capsys.readouterr()
    assert "does not know these words, and searches without: xylophone, elderly" in told.err
    assert main(["a person with green hair", *job]) == 0
    alike = capsys.readouterr()
    assert alike.err == ""
    assert found(alike.out) == found(told.out)
    for nothing in ("xylophone", "a child", "12 !"):
        assert main([nothing, *job]) == 2
        told = capsys.readouterr()
        assert "the demonstration encoder knows none of these words" in told.err
        assert '"a person with green hair and glasses"' in told.err
        assert found(told.out) == []


def test_an_image_finds_itself_first(
    sample_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pq.read_table(sample_release / "images", columns=["image", "image_id"])
    row = table.slice(7, 1).to_pylist()[0]
    (tmp_path / "mine.jpg").write_bytes(row["image"]["bytes"])
    assert main(["--image", str(tmp_path / "mine.jpg"), "--release", str(sample_release)]) == 0
    rows = found(capsys.readouterr().out)
    assert len(rows) == 10
    assert (rows[0][2], rows[0][1]) == (row["image_id"], "1.000")


def test_an_image_that_is_none_is_refused(
    sample_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, data in (("broken.jpg", image_bytes(1)[:200]), ("text.jpg", b"a text")):
        (tmp_path / name).write_bytes(data)
        assert main(["--image", str(tmp_path / name), "--release", str(sample_release)]) == 2
        assert "the image cannot be used" in capsys.readouterr().err
    assert main(["--image", str(tmp_path / "none.jpg"), "--release", str(sample_release)]) == 2
    assert "the file cannot be opened: No such file" in capsys.readouterr().err


def test_a_release_without_features_says_how_to_have_some(
    plain_release: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["a face", "--release", str(plain_release)]) == 2
    err = capsys.readouterr().err
    assert "the release has no CLIP features" in err
    assert "[[features]]" in err
    assert 'pretrained = "' in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a text or an --image"),
        (["a face", "--image", "a.jpg"], "not both"),
        ([" "], "the text is empty"),
        (["a face", "--figure", "out.pdf"], "a figure is a .jpg or a .png"),
        (["a face", "--config", "clip_sfhq_deno"], "did you mean clip_sfhq_demo?"),
        (["a face", "-k", "0"], "not a number from 1 to 1000"),
    ],
)
def test_wrong_usage_is_told(
    arguments: list[str], message: str, sample_release: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: object = main([*arguments, "--release", str(sample_release)])
    except SystemExit as ended:  # argparse ends so
        status = ended.code
    assert status == 2
    assert message in capsys.readouterr().err


def test_other_weights_are_refused_and_both_digests_told(sample_release: Path) -> None:
    release = SearchedRelease(ReleaseReader(sample_release, read_manifest(sample_release).shards))
    made_by = release.provenance
    with pytest.raises(SettingsError) as refused:
        open_encoder(made_by.model_copy(update={"weights_sha256": "0" * 64}), None)
    assert "0" * 64 in str(refused.value)
    assert made_by.weights_sha256 in str(refused.value)


def test_a_checkpoint_of_somebody_must_be_given(sample_release: Path) -> None:
    release = SearchedRelease(ReleaseReader(sample_release, read_manifest(sample_release).shards))
    made_by = release.provenance.model_copy(update={"model": "ViT-B-32", "pretrained": "ours.safetensors"})
    with pytest.raises(SettingsError, match=r"--weights ours\.safetensors"):
        open_encoder(made_by, None)


def test_a_tags_file_given_by_flag_makes_the_encoder_of_the_release(
    make_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from open_clip import pretrained

    weights = make_model("tiny-ViT")
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-ViT", {"ours": pretrained._slpcfg()})
    settings = FeatureSettings(model="tiny-ViT", pretrained="ours", weights=str(weights), dtype="float32")
    made_by = load_encoder(settings, find_model_files(settings)).provenance
    assert made_by.resize_mode == "squash"
    assert open_encoder(made_by, weights).provenance == made_by


def test_damaged_files_of_features_are_told(
    sample_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = copy_folder(sample_release, tmp_path / "1.0")
    (path,) = (copy / "clip_sfhq_demo").iterdir()
    for damage in (b"PAR1 and no more", None):
        path.unlink(missing_ok=True)
        if damage is not None:
            path.write_bytes(damage)
        assert main(["a face", "--release", str(copy)]) == 1
        err = capsys.readouterr().err
        assert path.name in err
        assert "Traceback" not in err
