"""The captions of the built-in sample: two invented captioners, one of which errs at a known rate.

`attribute-pipeline` imitates that of arXiv 2405.10864: models infer attributes, these become a bag of words,
and the words a sentence. It sees what is drawn, but each attribute has a chance of `ERROR_RATE` to be another
value, which the sentence then says, too. `one-line` is short and right.
"""

from collections.abc import Iterator, Mapping, Sequence
from random import Random

from builders.sample.faces import ATTRIBUTES, Face
from builders.sample.images import sample_faces

PIPELINE, ONE_LINE = ("attribute-pipeline", "1.0"), ("one-line", "0.3")
ERROR_RATE = 0.05
EMOTIONS: Mapping[str, str] = {
    "smiling": "happy",
    "laughing": "happy",
    "neutral": "neutral",
    "surprised": "surprise",
    "sad": "sad",
}
_VALUES: Mapping[str, Sequence[str]] = ATTRIBUTES | {"emotion": tuple(dict.fromkeys(EMOTIONS.values()))}
_HIDING = ("bald", "sunglasses")  # never seen by mistake: what they hide is told, too
_ATTRIBUTE_MODEL, _EXPRESSION_MODEL = "drawn-attributes-v1", "drawn-expressions-v1"
_SEED = 20_240_516


def sample_captions() -> Iterator[dict[str, object]]:
    """Yield every line of `captions.jsonl`: two captions for each image."""
    for index, (name, _, face) in enumerate(sample_faces()):
        attributes = _infer(face, Random(_SEED + index))  # noqa: S311 - a sample, not a secret
        seen = {str(item["attribute"]): str(item["value"]) for item in attributes}
        yield _record(name, _sentence(seen), PIPELINE, attributes, _bag_of_words(seen))
        yield _record(name, _one_line(face), ONE_LINE, None, None)


def true_attributes(face: Face) -> dict[str, str]:
    """Return the true attributes of a face, as a faultless pipeline would state them.

    Left out is what is hidden: the eyes behind sunglasses, the hair colour of a bald person.
    """
    hidden = {"eyes": face.glasses == "sunglasses", "hair_color": face.hair_style == "bald"}
    seen = {name: str(getattr(face, name)) for name in ATTRIBUTES if not hidden.get(name)}
    return seen | {"emotion": EMOTIONS[face.expression]}


def _infer(face: Face, rng: Random) -> list[dict[str, object]]:
    """Invent what the models infer; where they are wrong they are less sure, too."""
    attributes: list[dict[str, object]] = []
    for name, truth in true_attributes(face).items():
        others = [value for value in _VALUES[name] if value != truth and value not in _HIDING]
        is_wrong, choice, doubt = rng.random() < ERROR_RATE, rng.random(), rng.random()
        value = others[int(choice * len(others))] if is_wrong else truth
        confidence = round(0.85 - 0.34 * doubt if is_wrong else 1 - 0.3 * doubt * doubt, 3)
        model = _EXPRESSION_MODEL if name in ("expression", "emotion") else _ATTRIBUTE_MODEL
        attributes.append(
            {"attribute": name, "value": value, "confidence": confidence, "source_model": model}
        )
    return attributes


def _record(
    name: str,
    caption: str,
    captioner: tuple[str, str],
    attributes: list[dict[str, object]] | None,
    words: list[str] | None,
) -> dict[str, object]:
    return {
        "image_filename": name,
        "caption": caption,
        "captioner": captioner[0],
        "captioner_version": captioner[1],
        "language": "en",
        "attributes": attributes,
        "bag_of_words": words,
    }


# --- words ----------------------------------------------------------------------------------

_NOUNS: Mapping[str, str] = {
    "skin": "skin",
    "hair_color": "hair",
    "eyes": "eyes",
    "expression": "face",
    "background": "background",
    "lighting": "light",
}
_GLASSES = {"round": "round glasses", "square": "square glasses", "sunglasses": "sunglasses"}
_MOODS = {"surprise": "shows surprise"}


def _bag_of_words(seen: Mapping[str, str]) -> list[str]:
    return [_word(name, value) for name, value in seen.items() if value != "none"]


def _word(name: str, value: str) -> str:
    if name == "glasses":
        return _GLASSES[value]
    if name not in _NOUNS or value.startswith("side-lit"):
        return value
    return f"{value} {_NOUNS[name]}"


def _sentence(seen: Mapping[str, str]) -> str:
    """Write what was seen as one sentence, as the pipeline's language model would."""
    beard, worn = seen["beard"], _worn(seen["glasses"], seen["hat"])
    traits = [_word("skin", seen["skin"]), _hair(seen["hair_style"], seen.get("hair_color"))]
    if "eyes" in seen:
        traits.append(_word("eyes", seen["eyes"]))
    if beard != "none":
        traits.append(beard if beard == "stubble" else f"a {beard}")
    wears = f"wears {' and '.join(worn)}, " if worn else ""
    mood = _MOODS.get(seen["emotion"], f"seems {seen['emotion']}")
    light = _word("lighting", seen["lighting"])
    return (
        f"The picture shows a {_word('expression', seen['expression'])} with {', '.join(traits[:-1])} and "
        f"{traits[-1]}; the person {wears}{mood} and is seen against a "
        f"{_word('background', seen['background'])}, {light if light.startswith('side') else f'in {light}'}."
    )


def _hair(style: str, color: str | None) -> str:
    if style == "bald":
        return "a bald head"
    hair = f"{color} hair" if color else "hair"
    return f"{hair} in a {style}" if style in ("bob", "bun", "ponytail", "mohawk") else f"{style} {hair}"


def _worn(glasses: str, hat: str) -> list[str]:
    return [*([_GLASSES[glasses]] if glasses != "none" else []), *([f"a {hat}"] if hat != "none" else [])]


def _one_line(face: Face) -> str:
    """Write at most eleven words, without a full stop."""
    mood = [] if face.expression == "neutral" else [face.expression]
    is_bald = face.hair_style == "bald"
    who = ["bald person"] if is_bald else [f"person with {face.hair_color} hair"]
    worn = _worn(face.glasses, face.hat)
    place = f"wearing {worn[0]}" if worn else f"on a {_word('background', face.background)}"
    return " ".join(["a", *mood, *who, place])
