"""Secrets: strings of the shape of a token or key, which no release and no message may hold.

The shapes are those that services document, as gitleaks (https://github.com/gitleaks/gitleaks) and
detect-secrets list them. `DECISIONS.md` says why no library does this.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MASK = "…"
# JSON and Python write a line break as "\\n", whose letter is no part of the word after it.
_ESCAPE = r"\\(?:[nrtbfv]|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})"
_AFTER_ESCAPE = r"(?<=\\[nrtbfv])|(?<=\\u[0-9a-fA-F]{4})|(?<=\\x[0-9a-fA-F]{2})"
# No letter or digit before: a shape in the middle of base64 or of a longer word is chance.
_START = rf"(?:(?<![A-Za-z0-9])|{_AFTER_ESCAPE})"
_START_IN_BASE64 = rf"(?:(?<![A-Za-z0-9/+])|{_AFTER_ESCAPE})"
_QUOTE = r"\\?\"{1,2}"  # JSON, JSON in JSON, and JSON in a cell of CSV
_NAME, _IS = rf"{_QUOTE}(?:[\w-]+\.)?", rf"{_QUOTE}\s*:\s*{_QUOTE}"
_END = r"(?![A-Za-z0-9_-])"
_HEX = "[0-9a-f]"
_NOT_HEX = r"(?=[0-9a-f]*[A-Zg-z])"  # a digest after a short name, such as "hf_" and a commit, is no secret
_NOT_WORDS = r"(?=[A-Za-z_-]{0,100}[0-9])"  # nor are words joined by "-"
_UUID = rf"{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}"


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of one kind of secret.

    Attributes:
        name: What it is, with its article, for messages.
        marks: Parts of which a text with such a secret has at least one; looked for before `pattern`.
        pattern: The secret as a whole.
        prefix: How much of it a message may show, in characters: what all of its kind begin with.
    """

    name: str
    marks: tuple[str, ...]
    pattern: re.Pattern[str]
    prefix: int = 0

    def mask(self, found: re.Match[str]) -> str:
        """Return what a message may show of a secret."""
        return f"{found[0][: self.prefix]}{_MASK}"


def _shape(name: str, marks: str, pattern: str, prefix: int) -> Shape:
    return Shape(name, tuple(marks.split()), re.compile(f"{_START}(?:{pattern}){_END}"), prefix)


SHAPES = (
    _shape("a Hugging Face token", "hf_", rf"hf_{_NOT_HEX}[A-Za-z0-9]{{30,}}", 3),
    _shape("a Hugging Face token", "api_org_", rf"api_org_{_NOT_HEX}[A-Za-z0-9]{{30,}}", 8),
    # Keys of OpenAI, Stability AI, Anthropic, OpenRouter and others, with or without a word for their kind.
    _shape("an API key", "sk-", r"sk-(?:or-v\d-)?[A-Za-z0-9]{32,}", 3),
    _shape(
        "an API key",
        "sk-",
        rf"sk-(?:proj|svcacct|service|admin|None|ant-[a-z0-9]{{2,10}})-{_NOT_WORDS}[A-Za-z0-9_-]{{20,}}",
        3,
    ),
    _shape("a GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", rf"gh[pousr]_{_NOT_HEX}[A-Za-z0-9]{{36,}}", 4),
    _shape("a GitHub token", "github_pat_", r"github_pat_[A-Za-z0-9]{20,}_[A-Za-z0-9]{40,}", 11),
    _shape("a GitLab token", "glpat-", rf"glpat-{_NOT_WORDS}[A-Za-z0-9_-]{{20,}}", 6),
    Shape(
        "an AWS key",
        ("AKIA", "ASIA", "ABIA", "ACCA"),
        re.compile(rf"{_START_IN_BASE64}A(?:KIA|SIA|BIA|CCA)[0-9A-Z]{{16}}(?![A-Za-z0-9_/+=-])"),
        4,
    ),
    Shape(
        "a Google API key",
        ("AIza",),
        re.compile(rf"{_START_IN_BASE64}AIza[0-9A-Za-z_-]{{35}}(?![A-Za-z0-9_/+-])"),
        4,
    ),
    _shape("a Google client secret", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{28}", 7),
    # A Kaggle key is 32 hexadecimal digits like any digest, so its surroundings must say that it is one.
    _shape("a Kaggle token", "KGAT_", r"KGAT_[A-Za-z0-9]{32,}", 5),
    Shape(
        "a Kaggle key",
        ('key"', 'key\\"', "KAGGLE_KEY"),
        re.compile(
            rf"{_NAME}username{_IS}[\w.-]+{_QUOTE}\s*,\s*{_NAME}key{_IS}{_HEX}{{32}}(?!{_HEX})"
            rf"|{_NAME}key{_IS}{_HEX}{{32}}{_QUOTE}\s*,\s*{_NAME}username{_IS}[\w.-]+{_QUOTE}"
            rf"|KAGGLE_KEY\\?[\"']?\]?\s*[=:]\s*\\?[\"']?{_HEX}{{32}}(?![0-9a-f])"
        ),
    ),
    _shape("a Slack token", "xox", r"xox[abeoprs]-\d[A-Za-z0-9-]{14,}", 5),
    Shape(
        "the address of a Slack webhook",
        ("hooks.slack.com/",),
        re.compile(r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9_+/-]{40,}"),
    ),
    Shape("a fal key", (":",), re.compile(rf"{_START}{_UUID}:{_HEX}{{32}}(?![\w-])")),
    _shape("a Replicate token", "r8_", rf"r8_{_NOT_HEX}[A-Za-z0-9]{{37,40}}", 3),
    _shape("a Groq key", "gsk_", rf"gsk_{_NOT_HEX}[A-Za-z0-9]{{48,}}", 4),
    _shape("an NVIDIA key", "nvapi-", r"nvapi-[A-Za-z0-9_-]{60,}", 6),
    _shape("a Stripe key", "sk_live_ rk_live_", r"[rs]k_live_[A-Za-z0-9]{24,}", 8),
    _shape("an npm token", "npm_", rf"npm_{_NOT_HEX}[A-Za-z0-9]{{36}}", 4),
    _shape("a PyPI token", "pypi-AgE", r"pypi-AgE[A-Za-z0-9_-]{50,}", 5),
    Shape(
        "a JSON Web Token",
        ("eyJ",),
        re.compile(
            rf"{_START_IN_BASE64}eyJ[A-Za-z0-9_-]{{8,400}}\.eyJ[A-Za-z0-9_-]{{8,9000}}\.[A-Za-z0-9_-]{{16,}}"
        ),
        3,
    ),
    # In JSON the lines of a key are joined by "\n", so any character may stand between begin and end.
    Shape(
        "a private key",
        ("PRIVATE KEY",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:.*?-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|.*)",
            re.DOTALL,
        ),
    ),
)
_MIN_CHARS = 20
_ESCAPED = re.compile(_ESCAPE)
_RUN = re.compile(r"[A-Za-z0-9_-]+")
# What a run of such characters has if it is a secret. Keys of Kaggle and fal have no beginning.
_PREFIXES = tuple({mark: None for shape in SHAPES if shape.prefix for mark in shape.marks})
_HEX_RUN = re.compile(rf"{_HEX}{{32}}")
_PHRASES = ("PRIVATE KEY", "hooks.slack.com/")


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that a text holds.

    Attributes:
        what: What it is, with its article.
        masked: What a message may show of it.
    """

    what: str
    masked: str


def find_secrets(text: str) -> Iterator[Secret]:
    """Yield every secret in a text, masked."""
    if may_hold_secret(text):
        for shape in SHAPES:
            if any(mark in text for mark in shape.marks):
                for found in shape.pattern.finditer(text):
                    yield Secret(shape.name, shape.mask(found))


def mask_secrets(text: str) -> str:
    """Return a text with the beginning and "…" in place of each secret; others unchanged."""
    if may_hold_secret(text):
        for shape in SHAPES:
            if any(mark in text for mark in shape.marks):
                text = shape.pattern.sub(shape.mask, text)
    return text


# Looking for all patterns takes 30 µs for 500 characters, and for long words 4 µs: prompts have few of those.
def may_hold_secret(text: str) -> bool:
    """Return whether a text has a part that secrets have; most texts have none."""
    text = _ESCAPED.sub(" ", text) if "\\" in text else text
    for word in [word for word in text.split() if len(word) >= _MIN_CHARS]:
        for run in _RUN.findall(word):
            if len(run) >= _MIN_CHARS and (
                _HEX_RUN.fullmatch(run) or [prefix for prefix in _PREFIXES if prefix in run]
            ):
                return True
    return any(phrase in text for phrase in _PHRASES)
