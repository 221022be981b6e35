"""What Kaggle shows above the files, and the rules that it has for it."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from schemas.manifest import Manifest
from schemas.problems import Problem, Reason, suggest

# The names that Kaggle takes: https://github.com/Kaggle/kaggle-cli/blob/main/docs/datasets_metadata.md
LICENSES = (
    *("CC0-1.0", "CC-BY-3.0", "CC-BY-3.0-IGO", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0"),
    *("CC-BY-NC-SA-3.0-IGO", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0", "CC-BY-NC-ND-4.0", "apache-2.0", "GPL-2.0"),
    *("GPL-3.0", "LGPL-3.0", "AGPL-3.0", "FDL-1.3", "ODbL-1.0", "DbCL-1.0", "ODC-BY-1.0", "PDDL"),
    *("CDLA-Permissive-1.0", "CDLA-Sharing-1.0", "EU-ODP-Legal-Notice", "US-Government-Works"),
    *("world-bank", "reddit-api", "copyright-authors", "other", "unknown"),
)
_NOTE = re.compile(r"Release (\S+) \(manifest sha256:([0-9a-f]{64})\)")
_HEADER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_COLUMNS = re.compile(r"^## Columns\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_EXAMPLE = re.compile(r"<!-- example -->.*?<!-- /example -->\n", re.DOTALL)
_IMAGE = re.compile(r"^!\[[^\]]*\]\((?!https?:)[^)]*\)\n+", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)[^)]*\)")


@dataclass(frozen=True, slots=True)
class KagglePage:
    """What the maintainer says of the dataset on Kaggle.

    Attributes:
        title: 6 to 50 characters.
        subtitle: 20 to 80 characters.
        license: One of `LICENSES`; the default leaves it to LICENSES.md and the column of each row.
        keywords: Tags; Kaggle leaves out those that it does not know, and says nothing.
        private: Whether a dataset that is created here can be seen by its owner only. One that is there
            already stays as it is.
    """

    title: str
    subtitle: str
    license: str = "other"
    keywords: tuple[str, ...] = ()
    private: bool = True


def check_page(dataset: str, page: KagglePage) -> Iterator[Problem]:
    """Compare a dataset's name and page with Kaggle's rules.

    Yields:
        A problem for each rule that is broken.
    """
    owner, _, slug = dataset.partition("/")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,99}", owner):
        yield _problem(
            "dataset", "the owner is not a name on Kaggle", dataset, 'write "owner/name-of-dataset"'
        )
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{1,48}[a-z0-9]", slug):
        fix = "use 6 to 50 small letters, digits and hyphens"  # old ones may have 3
        yield _problem("dataset", "Kaggle does not take this as a dataset's name", dataset, fix)
    for name, text, least, most in (("title", page.title, 6, 50), ("subtitle", page.subtitle, 20, 80)):
        length = len(text.strip())
        if not text.isprintable():
            message = "Kaggle wants one line of text, without tabs or other characters that cannot be seen"
            yield _problem(name, message, text, "write spaces in their place")
        if not least <= length <= most:
            message = f"Kaggle wants {least} to {most} characters, and there are {length}"
            yield _problem(name, message, text, "write it longer" if length < least else "write it shorter")
    if page.license not in LICENSES:
        message = "Kaggle does not know this licence"
        yield _problem("license", message, page.license, suggest(page.license, LICENSES))
    for keyword in page.keywords:
        if not keyword.strip() or not keyword.isprintable():
            yield _problem("keywords", "this is not a tag", keyword, "leave it out")


def check_new_name(dataset: str) -> Iterator[Problem]:
    """Compare a name with the rule for datasets that are to be created; those that are there may be shorter.

    Yields:
        A problem if it is too short.
    """
    if 3 <= len(dataset.partition("/")[2]) < 6:
        yield _problem("dataset", "Kaggle wants 6 characters or more", dataset, "choose a longer name")


def note(manifest: Manifest) -> str:
    """Name a release in one line that `read_note` finds again."""
    return f"Release {manifest.version} (manifest sha256:{manifest.digest})"


def read_note(text: str) -> tuple[str, str] | None:
    """Find version and manifest digest of a release in the notes of a Kaggle version."""
    found = _NOTE.search(text)
    return (found[1], found[2]) if found else None


def describe(dataset: str, card: str, manifest: Manifest) -> str:
    """Turn a card into the text of Kaggle's page: without YAML, columns, figures, and links into the folder.

    Args:
        dataset: The dataset as "owner/slug".
        card: The release's README.md.
        manifest: What the release holds.

    Returns:
        Markdown that begins with how to load it here and ends with `note`.
    """
    text = _HEADER.sub("", card, count=1)
    for pattern in (_EXAMPLE, _COLUMNS, _IMAGE):
        text = pattern.sub("", text)
    text = _LINK.sub(r"\1", text).strip()
    config = "default" if "default" in manifest.configs else next(iter(manifest.configs))
    folder = next((shard.path.rpartition("/")[0] for shard in manifest.shards if shard.config == config), "")
    load = f"""\
Parquet files, one folder for each config, as on the Hub. In a notebook, or anywhere with `kagglehub`:

```python
import kagglehub
from datasets import load_dataset

path = kagglehub.dataset_download("{dataset}")
dataset = load_dataset(path, "{config}")  # or pandas.read_parquet(f"{{path}}/{folder}")
```"""
    return f"{load}\n\n{text}\n\n{note(manifest)}"


def page_mark(page: KagglePage, manifest: Manifest) -> str:
    """Name a release and its page in one line: where a description ends with it, all of the page is set.

    What Kaggle makes of texts, tags and licences is not always what it was given, so they are not compared.
    """
    settings = json.dumps(asdict(page), sort_keys=True)
    return f"{note(manifest)}, page {hashlib.sha256(settings.encode()).hexdigest()[:12]}"


def _problem(column: str, message: str, value: str, fix: str) -> Problem:
    return Problem(
        Reason.SETTINGS, message, file="kaggle", column=column, value=value, fix=fix, code="host/page"
    )
