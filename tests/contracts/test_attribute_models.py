"""Every attribute model, and the recipe for one more."""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from builders.features.attributing import Answer, AttributeModel, ModelOptions
from builders.features.encoder import ImageNotEncodedError, load_encoder
from builders.sample.faces import draw_face, random_face
from publish import caption
from publish.providers.attributes import ATTRIBUTE_MODELS, AttributeModelKind, open_attribute_models
from schemas.attributes import Attribute
from schemas.features import DEMO_MODEL, DEMO_TAG, FeatureSettings
from tests.publish.providers.attribute_server import AttributeServer
from tests.publish.test_screen import jpeg
from tests.support import good_folder

FACES = [jpeg(draw_face(random_face(number), 256)) for number in (1, 2, 3)]


def save_classifier(folder: Path, **config: Any) -> Path:
    """Save a tiny classifier with random weights, as `transformers` does."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    size: Mapping[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "image_size": 32,
        "patch_size": 16,
    }
    labels = {0: "No_Glasses", 1: "Round", 2: "Sunglasses"}
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**size, id2label=labels, **config))
    model.save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture
def options(tmp_path: Path) -> Iterator[Mapping[str, ModelOptions]]:
    """Yield what opens a model of each kind."""
    encoder = load_encoder(FeatureSettings(model=DEMO_MODEL, pretrained=DEMO_TAG))
    folder = save_classifier(tmp_path / "classifier")
    with AttributeServer() as server:
        yield {
            "zero-shot": ModelOptions(encoder=encoder),
            "faces": ModelOptions(),
            "transformers": ModelOptions(place=str(folder), attribute="glasses", thresholds={"glasses": 0.0}),
            "endpoint": ModelOptions(place=server.endpoint, version="3"),
        }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ATTRIBUTE_MODELS.values(), ids=ATTRIBUTE_MODELS)
def test_a_model_keeps_the_contract(kind: AttributeModelKind, options: Mapping[str, ModelOptions]) -> None:
    (model,) = open_attribute_models(kind, options[kind.name])
    assert model.source_model == model.source_model.strip() != ""
    assert bytes.fromhex(model.maker).hex() == model.maker
    assert len(model.maker) == 64
    assert min(model.batch_size, model.num_workers) >= 1
    alone = [made for data in FACES for made in model.measure(iter([data]))]
    # What is made of an image does not depend on those that are measured with it.
    together = [
        made
        for start in range(0, len(FACES), model.batch_size)
        for made in model.measure(iter(FACES[start : start + model.batch_size]))
    ]
    assert alone == together
    answers = [list(model.answer(made)) for made in alone]
    assert answers == [list(model.answer(made)) for made in alone]
    for answer in (each for some in answers for each in some):
        assert answer.source_model == model.source_model
        if answer.value is not None:
            Attribute.model_validate(
                {name: getattr(answer, name) for name in ("attribute", "value", "confidence", "source_model")}
            )
    assert any(answer.value is not None for answer in answers[0])
    (again,) = open_attribute_models(kind, options[kind.name])
    assert (again.maker, again.recipe, again.source_model) == (model.maker, model.recipe, model.source_model)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zero-shot", "faces", "transformers"])
def test_an_image_that_does_not_decode_is_named_by_its_place(
    name: str, options: Mapping[str, ModelOptions]
) -> None:
    (model,) = open_attribute_models(ATTRIBUTE_MODELS[name], options[name])
    with pytest.raises(ImageNotEncodedError) as caught:
        model.measure(iter([FACES[0], b"no image"]))
    assert caught.value.position == 1


@pytest.mark.parametrize("kind", ATTRIBUTE_MODELS.values(), ids=ATTRIBUTE_MODELS)
def test_a_kind_has_its_module(kind: AttributeModelKind) -> None:
    assert callable(import_module(kind.module).open_models)


@pytest.mark.slow
def test_every_label_of_a_classifier_can_be_mapped(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "m", problem_type="multi_label_classification")
    labels = {"Round": ("glasses", "round"), "Sunglasses": ("glasses", "sunglasses")}
    given = ModelOptions(place=str(folder), labels=labels, thresholds={"glasses": 0.0}, version="7")
    (model,) = open_attribute_models(ATTRIBUTE_MODELS["transformers"], given)
    (answer,) = model.answer(*model.measure([FACES[0]]))
    assert answer.value in ("round", "sunglasses")
    assert answer.source_model == "m 7"


class Toy:
    """The model of the recipe: its attribute is how large the file is."""

    source_model, recipe = "toy 1", ""
    maker = hashlib.sha256(b"toy 1").hexdigest()
    batch_size, num_workers = 2, 1

    def measure(self, images: Iterable[bytes]) -> Sequence[bytes]:
        return [str(len(data)).encode() for data in images]

    def answer(self, made: bytes) -> Iterable[Answer]:
        yield Answer("file size", made.decode(), 1.0, self.source_model)


def test_the_recipe_adds_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("builders.features.toy")

    def open_models(options: ModelOptions) -> Sequence[AttributeModel]:
        return [Toy()]

    module.open_models = open_models  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "builders.features.toy", module)
    monkeypatch.setitem(ATTRIBUTE_MODELS, "toy", AttributeModelKind("toy", "builders.features.toy"))
    folder = good_folder(tmp_path / "faces")
    out = tmp_path / "captions.jsonl"
    assert caption.main([str(folder.write()), "--out", str(out), "--model", "toy"]) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    sizes = [str(len(data)) for data in folder.images.values()]
    assert [line["attributes"][0]["value"] for line in lines] == sizes
