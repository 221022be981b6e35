"""Every provider of images, and the recipe for one more."""

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from builders.generation.images import ImageAnswer, ImageRequest
from publish import generate
from publish.providers import images
from publish.providers.images import PROVIDERS, Offer, ProviderKind, ProviderOptions, find_offers, load_offers
from schemas.generators import GENERATORS
from tests.builders.generation.test_making import picture


@pytest.mark.parametrize("kind", PROVIDERS.values(), ids=PROVIDERS)
def test_a_provider_has_its_module_and_an_offer(kind: ProviderKind) -> None:
    assert callable(import_module(f"publish.providers.{kind.module}").open_provider)
    assert any(offer.provider == kind.name for offer in load_offers())
    assert bool(kind.keys) is kind.is_paid


@pytest.mark.parametrize("offer", load_offers(), ids=lambda offer: f"{offer.generator}-{offer.provider}")
def test_an_offer_can_be_taken(offer: Offer) -> None:
    generator = GENERATORS[offer.generator]
    assert offer.provider in PROVIDERS
    assert generator.retired is None
    settings = generator.settings.model_validate(offer.settings)
    assert settings.extras == {}
    assert (offer.price_usd is None) == (offer.as_of is None) == (offer.source is None)


def test_no_offer_is_there_twice_and_a_generator_has_its_own_first() -> None:
    pairs = [(offer.generator, offer.provider) for offer in load_offers()]
    assert len(pairs) == len(set(pairs))
    assert find_offers("drawn")[0].provider == "drawn"


class Toy:
    """The provider of the recipe."""

    def make(self, request: ImageRequest) -> ImageAnswer:
        data = picture(request.prompt)
        return ImageAnswer(data, model="toy-1", seed=request.seed, settings=request.settings)

    def fetch(self, answer: ImageAnswer) -> bytes:
        return answer.data

    def close(self) -> None:
        pass


def test_the_recipe_adds_a_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = ModuleType("publish.providers.toy")

    def open_provider(options: ProviderOptions) -> Toy:
        assert options.key == "a key"
        return Toy()

    module.open_provider = open_provider  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "publish.providers.toy", module)
    monkeypatch.setitem(PROVIDERS, "toy", ProviderKind("toy", "toy", ("TOY_KEY",)))
    offer = Offer(generator="SDXL", provider="toy", model="toy-1", price_usd=0.01, settings={"steps": 5})
    monkeypatch.setattr(images, "load_offers", lambda: (offer,))
    monkeypatch.setenv("TOY_KEY", "a key")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("a man\na woman\n")
    flags = ["prompts.txt", "--generator", "SDXL", "--out", "faces"]
    assert generate.main([*flags, "--budget", "1"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "faces" / "generation.jsonl").read_text().splitlines()]
    assert [(line["provider"], line["model"], line["cost_usd"]) for line in lines] == [
        ("toy", "toy-1", 0.01)
    ] * 2
    assert "$0.02 in this folder" in capsys.readouterr().out
