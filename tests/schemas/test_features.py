"""Names of configs, what settings accept, and when the demonstration encoder is refused."""

import pytest
from pydantic import ValidationError

from schemas.features import (
    DEMO_MODEL,
    DEMO_TAG,
    FeatureSettings,
    Provenance,
    config_name,
    refuse_demonstration,
)

PROVENANCE = Provenance(
    model="ViT-B-32",
    pretrained="openai",
    weights_sha256="0" * 64,
    dimension=512,
    input_size=(224, 224),
    image_mean=(0.5, 0.5, 0.5),
    image_std=(0.5, 0.5, 0.5),
    interpolation="bicubic",
    resize_mode="shortest",
    decoding="in full",
    context_length=77,
    quick_gelu=True,
    dtype="float32",
    normalized=True,
    is_demonstration=False,
    libraries={"torch": "2", "open_clip_torch": "3"},
)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("ViT-B-32", "clip_vit_b_32"),
        ("sfhq-demo", "clip_sfhq_demo"),
        ("EVA02-E-14-plus", "clip_eva02_e_14_plus"),
        ("nllb-clip-base", "clip_nllb_clip_base"),
    ],
)
def test_a_config_is_named_after_its_model(model: str, name: str) -> None:
    assert config_name(model) == name == FeatureSettings(model=model, pretrained="x").config
    assert FeatureSettings(model=model, pretrained="x", name="clip_mine").config == "clip_mine"


@pytest.mark.parametrize("name", ["default", "clip_", "clip_A", "clip__a", "clip_a/b"])
def test_a_name_that_could_be_another_configs_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        FeatureSettings(model="ViT-B-32", pretrained="openai", name=name)


@pytest.mark.parametrize(
    ("model", "name"), [("ViT-B-32", "clip_of_captions"), ("ViT of captions", None), ("captions", None)]
)
def test_a_name_that_would_be_that_of_captions_is_refused(model: str, name: str | None) -> None:
    with pytest.raises(ValidationError, match="what ends in '_captions' is the config of captions"):
        FeatureSettings(model=model, pretrained="openai", name=name)
    assert (
        FeatureSettings(model=model, pretrained="openai", name="clip_captions_2").config == "clip_captions_2"
    )


def test_the_demonstration_encoder_is_for_drawn_faces_unless_asked_for() -> None:
    demo = FeatureSettings(model=DEMO_MODEL, pretrained=DEMO_TAG)
    assert refuse_demonstration(demo, images_are_drawn=True) is None
    problem = refuse_demonstration(demo, images_are_drawn=False)
    assert problem is not None
    assert "has only ever seen drawn faces" in str(problem)
    asked = demo.model_copy(update={"allow_demonstration": True})
    assert refuse_demonstration(asked, images_are_drawn=False) is None
    real = FeatureSettings(model="ViT-B-32", pretrained="openai")
    assert refuse_demonstration(real, images_are_drawn=False) is None


def test_a_digest_is_that_of_everything_in_any_order() -> None:
    turned = PROVENANCE.model_copy(update={"libraries": {"open_clip_torch": "3", "torch": "2"}})
    assert turned.digest == PROVENANCE.digest
    for change in ({"dtype": "bfloat16"}, {"weights_sha256": "1" * 64}, {"libraries": {"torch": "3"}}):
        assert PROVENANCE.model_copy(update=change).digest != PROVENANCE.digest
