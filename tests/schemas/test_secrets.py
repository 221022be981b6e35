"""Secrets: every shape is found and masked wherever it stands, and ordinary texts hold none."""

import base64
import csv
import hashlib
import io
import json
import random
import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.sample.captions import sample_captions
from builders.sample.images import COUNTS, invent_config, sample_prompts
from schemas.problems import Place, Problem, Reason
from schemas.secrets import find_secrets, mask_secrets

LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def chars(number: int, alphabet: str = LETTERS) -> str:
    """Return characters that are the same in each run and nobody's secret."""
    return "".join(random.Random(number).choices(alphabet, k=number))


SECRETS = {
    "hugging face": "hf_" + chars(34),
    "hugging face organisation": "api_org_" + chars(34),
    "openai": "sk-" + chars(48),
    "openai project": "sk-proj-" + chars(60) + "_" + chars(60) + "-" + chars(20),
    "anthropic": "sk-ant-api03-" + chars(93) + "AA",
    "openrouter": "sk-or-v1-" + chars(64, HEX),
    "stability": "sk-" + chars(49)[1:],
    "fal": f"{uuid.UUID(chars(32, HEX))}:{chars(32, HEX)}",
    "github": "ghp_" + chars(36),
    "github app": "ghs_" + chars(36),
    "github fine-grained": f"github_pat_{chars(22)}_{chars(59)}",
    "gitlab": "glpat-" + chars(20),
    "aws": "AKIA" + chars(16, string.ascii_uppercase + "234567"),
    "google": "AIza" + chars(35),
    "kaggle": "KGAT_" + chars(32, HEX),
    "slack": "xoxb-123456789012-1234567890123-" + chars(24),
    "slack webhook": f"hooks.slack.com/services/T{chars(10)}/B{chars(10)}/{chars(24)}",
    "replicate": "r8_" + chars(37),
    "groq": "gsk_" + chars(52),
    "stripe": "sk_live_" + chars(24),
    "npm": "npm_" + chars(36),
    "pypi": "pypi-AgEIcHlwaS5vcmc" + chars(80),
    "jwt": f"eyJhbGciOiJIUzI1NiJ9.eyJ{chars(40)}.{chars(43)}",
    "rsa key": f"-----BEGIN RSA PRIVATE KEY-----\n{chars(64)}\n-----END RSA PRIVATE KEY-----",
    "key without end": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{chars(64)}",
    "pgp key": f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{chars(64)}\n-----END PGP PRIVATE KEY BLOCK-----",
}
STARTS = ("hf_", "sk-", "sk-proj-", "ghp_", "xoxo-", "xoxb-", "r8_", "npm_", "AKIA-", "glpat-")
# What messages may show: nothing of the part that is random.
RANDOM_CHARS = 8


def spread(secret: str) -> list[str]:
    """Write a secret in each way that rows and messages have it."""
    cell = io.StringIO()
    csv.writer(cell).writerow([json.dumps({"key": secret})])
    return [
        secret,
        f"a face, {secret} smiling",
        f"https://host.example/a.jpg?token={secret}&size=2",
        f"({secret}),",
        f"Authorization: Bearer {secret}",
        f"a\n{secret}\nb",
        json.dumps({"api_key": secret}),
        json.dumps({"text": f"a\n{secret}\tb"}),
        json.dumps(json.dumps({"text": f"a\t{secret}"})),
        repr(f"\x0b{secret}"),
        cell.getvalue(),
        f"é{secret}",
        f"token_{secret}.jpg",
        f"unknown-{secret}",
    ]


def shows(text: str, secret: str) -> bool:
    """Return whether a text has any long part of a secret."""
    core = secret.replace("-----BEGIN", "").replace("PRIVATE KEY", "")
    core = core.partition("\n")[2] if "\n" in core else core[-20:]
    return any(
        core[start : start + RANDOM_CHARS] in text for start in range(max(1, len(core) - RANDOM_CHARS))
    )


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found_and_masked_wherever_it_stands(kind: str) -> None:
    secret = SECRETS[kind]
    for text in spread(secret):
        assert [found.masked for found in find_secrets(text) if shows(found.masked, secret)] == []
        assert list(find_secrets(text)), text
        masked = mask_secrets(text)
        assert not shows(masked, secret), masked
        assert mask_secrets(masked) == masked
        assert not list(find_secrets(masked))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"username": "jane", "key": chars(32, HEX)}),
        json.dumps(json.dumps({"username": "jane", "key": chars(32, HEX)})),
        json.dumps({"key": chars(32, HEX), "username": "jane"}),
        json.dumps({"kaggle.key": chars(32, HEX), "kaggle.username": "jane"}),
        f"KAGGLE_KEY={chars(32, HEX)}",
        f'os.environ["KAGGLE_KEY"] = "{chars(32, HEX)}"',
    ],
)
def test_a_kaggle_key_is_known_by_what_is_around_it(text: str) -> None:
    assert [found.what for found in find_secrets(text)] == ["a Kaggle key"]
    assert chars(32, HEX) not in mask_secrets(text)
    assert not list(find_secrets(chars(32, HEX)))


def test_every_secret_of_a_text_is_masked() -> None:
    text = " and ".join(SECRETS[kind] for kind in SECRETS if kind != "key without end")
    masked = mask_secrets(text)
    assert [kind for kind, secret in SECRETS.items() if shows(masked, secret)] == []


def test_a_problem_never_shows_a_secret_whatever_field_it_comes_with() -> None:
    secret = SECRETS["hugging face"]
    problem = Problem(
        Reason.BAD_VALUE,
        f"m {secret}",
        file=f"{secret}.csv",
        column=secret,
        value=f"v={secret}",
        fix=f"f {secret}",
    )
    fields = (problem.message, problem.file, problem.column, problem.value, problem.fix, str(problem))
    assert [text for text in fields if text is None or secret[3:] in text or "hf_…" not in text] == []
    placed = Place(file="t.csv", row=2).problem(Reason.BAD_VALUE, "m", value="x" * 70 + f" {secret}")
    assert secret[:12] not in str(placed)


# Texts that a build must never stop for.
def test_the_samples_texts_hold_no_secret() -> None:
    rng = random.Random(5)
    texts = [*sample_prompts().values()]
    words = sorted({word for text in texts for word in text.split()})
    texts += [" ".join(rng.choices(words, k=rng.randint(5, 60))) for _ in range(5_000)]
    texts += ["-".join(rng.choices(words, k=12)) for _ in range(500)]
    texts += ["_".join(rng.choices(words, k=12)) for _ in range(500)]
    texts += [f"{start}{'-'.join(rng.choices(words, k=9))}" for start in STARTS for _ in range(100)]
    texts += [f"a {start}{'_'.join(rng.choices(words, k=9))}" for start in STARTS for _ in range(100)]
    texts += [json.dumps(record) for record in sample_captions()]
    texts += [
        json.dumps(invent_config(generator, seed, "a face")) for generator in COUNTS for seed in range(200)
    ]
    assert [text for text in texts if list(find_secrets(text)) or mask_secrets(text) != text] == []


@given(st.binary(min_size=1, max_size=3_000), st.uuids())
def test_digests_ids_and_base64_are_no_secrets(data: bytes, one: uuid.UUID) -> None:
    digests = [hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256", "sha512")]
    ids = [str(one), one.hex, one.urn, f"{one}:1", f"{one}.jpg"]
    coded = [
        base64.b64encode(data),
        base64.urlsafe_b64encode(data),
        base64.b85encode(data),
        base64.b32encode(data),
    ]
    texts = [*digests, *ids, *(each.decode() for each in coded), f"data:image/png;base64,{coded[0].decode()}"]
    texts += [json.dumps({"sha256": digests[2], "key": digests[0], "id": ids[0]}), ":".join(digests)]
    assert [text for text in texts if list(find_secrets(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "a risk-taker with a mask-like face, task-oriented, sk-",
        "sk-learn and hf_hub, ghp_pages; AKIA is a word",
        "hf_transfer_was_a_flag_of_the_clients_environment_variables",
        "BEGIN PUBLIC KEY, -----BEGIN PUBLIC KEY-----",
        "a key, PRIVATE KEY, on a keychain",
        "xoxo, xoxo-xoxo-xoxo",
        "eyJhbGciOiJIUzI1NiJ9 alone",
        "facesk-0123456789012345678901234567890123456789",
        "sk-face-with-red-hair-and-round-glasses-in-a-forest",
        "xoxo-hugs-and-kisses-for-all-of-you-out-there",
        f"lora_r8_{chars(40, HEX)} and hf_{chars(40, HEX)}",
        "glpat-with-words-only-and-no-digits-at-all",
        "",
    ],
)
def test_words_that_begin_like_secrets_are_none(text: str) -> None:
    assert not list(find_secrets(text))
    assert mask_secrets(text) == text


# With a pattern whose work grows with the square of the length, this would take minutes.
@pytest.mark.parametrize(
    "start", [*STARTS, "eyJ", "sk-ant-a-", "github_pat_", "KGAT_", '"key":', '"username":"a",']
)
@pytest.mark.parametrize("between", ["", "-", "_", " ", ".", "\\n", "a", "-----BEGIN PRIVATE KEY-----"])
def test_texts_of_repeated_beginnings_take_no_longer_than_others(start: str, between: str) -> None:
    text = f"{between}{start}" * (100_000 // len(between + start))
    assert len(list(find_secrets(text))) <= len(text)
    assert len(mask_secrets(text)) <= len(text)


@given(st.text(max_size=500))
def test_a_text_without_a_secret_is_unchanged(text: str) -> None:
    if not list(find_secrets(text)):
        assert mask_secrets(text) == text
