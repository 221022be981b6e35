"""The maintainer's own notes: citation and changelog, checked, and cut to what a release needs."""

import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import yaml

from schemas.manifest import Changes
from schemas.problems import BuildError, Problem, Reason
from schemas.withdrawals import entry_heading, mark_changelog

CITATION_NAME = "CITATION.cff"
CHANGELOG_NAME = "CHANGELOG.md"
_REQUIRED = ("cff-version", "message", "title", "authors")
_DATASET_HEADING = re.compile(r"^## Dataset\s*$", re.MULTILINE)
_NEXT_HEADING = re.compile(r"^## ", re.MULTILINE)
_MAX_LINE = 90


def parse_citation(text: str) -> dict[str, Any]:
    """Parse a CITATION.cff (https://citation-file-format.github.io).

    Raises:
        BuildError: It is not YAML, or lacks what a citation needs.
    """
    try:
        citation = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BuildError(_problem(CITATION_NAME, f"it is not YAML: {error}", "correct it")) from error
    if not isinstance(citation, dict):
        raise BuildError(
            _problem(CITATION_NAME, "it is not a mapping", "see https://citation-file-format.github.io")
        )
    missing = [key for key in _REQUIRED if not citation.get(key)]
    if missing:
        raise BuildError(_problem(CITATION_NAME, "the key is missing", "add it", key) for key in missing)
    return citation


def cite_only(citation: Mapping[str, Any], configs: Collection[str]) -> dict[str, Any]:
    """Return a citation with the references that a release needs.

    Args:
        citation: The maintainer's. A reference whose `scope` is a config is only for releases that have it.
        configs: The configs of the release.
    """
    references = [
        reference
        for reference in citation.get("references", ())
        if reference.get("scope") is None or str(reference["scope"]) in configs
    ]
    kept = {key: value for key, value in citation.items() if key != "references"}
    return kept | ({"references": references} if references else {})


def release_citation(citation: Mapping[str, Any], version: str, date: str | None) -> str:
    """Write the citation of one release: the maintainer's, with that version and date."""
    stated = {key: value for key, value in citation.items() if key not in ("version", "date-released")}
    stated["version"] = version
    if date is not None:
        stated["date-released"] = date
    return yaml.safe_dump(stated, sort_keys=False, allow_unicode=True, width=100)


def bibtex(citation: Mapping[str, Any], key: str) -> str:
    """Render the preferred citation and the references as BibTeX, the former under `key`."""
    entries = [_bibtex_entry(citation.get("preferred-citation", citation), key)]
    for number, reference in enumerate(citation.get("references", ()), start=1):
        entries.append(_bibtex_entry(reference, _reference_key(reference, number)))
    return "\n\n".join(entries)


def dataset_changelog(text: str, version: str) -> str:
    """Cut the `## Dataset` part out of the changelog, from a version's entry down to the oldest.

    The kit's own history is not the dataset's, and what a release says must not change when later entries
    are added above. Where the version has no entry, all are given.
    """
    start = _DATASET_HEADING.search(text)
    if start is None:
        return ""
    end = _NEXT_HEADING.search(text, start.end())
    part = text[start.end() : end.start() if end else None]
    entry = entry_heading(version).search(part)
    return part[entry.start() if entry else 0 :].strip()


def changelog_entry(changelog: str, version: str) -> tuple[str | None, str] | None:
    """Find a version's entry, `### 1.0 - 2026-11-21` or `### 1.0`; return its date, if any, and its text."""
    start = entry_heading(version).search(changelog)
    if start is None:
        return None
    end = re.compile(r"^### ", re.MULTILINE).search(changelog, start.end())
    return start.group(1), changelog[start.end() : end.start() if end else None].strip()


def mark_entry(text: str, version: str, reason: str) -> str:
    """Mark a version's entry in the maintainer's changelog as withdrawn, and no other text of it.

    Raises:
        BuildError: The `## Dataset` part has no entry for the version.
    """
    start = _DATASET_HEADING.search(text)
    end = _NEXT_HEADING.search(text, start.end()) if start else None
    try:
        if start is None:
            raise ValueError("there is no part `## Dataset`")
        part = text[start.end() : end.start() if end else None]
        marked = mark_changelog(part, version, reason)
    except ValueError as error:
        fix = f"add a heading `### {version} - YYYY-MM-DD` with what the release was"
        raise BuildError(_problem(CHANGELOG_NAME, str(error), fix)) from error
    tail = f"\n{text[end.start() :]}" if end else ""
    return text if marked == part else text[: start.end()] + marked + tail


def _count_edits(columns: Mapping[str, int]) -> Iterator[str]:
    """Yield each column with the number of rows that are edited in it."""
    for name, number in columns.items():
        yield f"`{name}` ({number:,} {'row' if number == 1 else 'rows'})"


def release_changelog(
    title: str, changelog: str, version: str, previous: str | None, changes: Changes | None
) -> str:
    """Write a release's CHANGELOG.md: the maintainer's, with what was counted under the version's heading.

    Args:
        title: The dataset's name for people.
        changelog: What `dataset_changelog` gives for the version.
        version: The version.
        previous: The version before it, if any.
        changes: What differs from that.
    """
    counted = ""
    if previous is not None and changes is not None:
        lines = [
            f"- `{name}`: {rows.added:,} rows added, {rows.edited:,} edited, {rows.removed:,} removed"
            for name, rows in changes.changed_rows.items()
        ]
        lines += [
            f"- `{name}` is edited in {', '.join(_count_edits(columns))}"
            for name, columns in changes.edited_columns.items()
        ]
        lines += [f"- `{name}` is gone" for name in changes.lost_configs]
        lines = lines or ["- No row was added, edited or removed."]
        counted = "\n".join([f"Since {previous}, a {changes.bump} change:", "", *lines, "", ""])
    heading = entry_heading(version).search(changelog)
    end = heading.end() if heading else 0
    before = changelog[:end].rstrip() if heading else f"### {version}"
    after = changelog[end:].strip()
    parts = [f"# Changelog of {title}", before, counted.strip(), after]
    return "\n\n".join(part for part in parts if part) + "\n"


def _bibtex_entry(work: Mapping[str, Any], key: str) -> str:
    fields = {
        "title": work.get("title"),
        "author": " and ".join(_bibtex_author(author) for author in work.get("authors", ())),
        "year": work.get("year") or str(work.get("date-released", ""))[:4],
        "journal": work.get("journal"),
        "publisher": (work.get("publisher") or {}).get("name"),
        "doi": work.get("doi"),
        "eprint": _identifier(work.get("identifiers", ()), "arXiv:"),
        "url": work.get("url"),
    }
    kind = "article" if work.get("type") == "article" else "misc"
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *map(_wrap, lines), "}"])


def _wrap(line: str) -> str:
    """Break a long field, such as that of many authors, at spaces; BibTeX reads a line break as a space."""
    return textwrap.fill(
        line, _MAX_LINE, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def _bibtex_author(author: Mapping[str, Any]) -> str:
    if "name" in author:
        return f"{{{author['name']}}}"  # braces keep an organisation's name whole
    return f"{author.get('family-names', '')}, {author.get('given-names', '')}".strip(", ")


def _identifier(identifiers: Sequence[Mapping[str, Any]], prefix: str) -> str | None:
    values = (str(identifier.get("value", "")) for identifier in identifiers)
    return next((value.removeprefix(prefix) for value in values if value.startswith(prefix)), None)


def _reference_key(work: Mapping[str, Any], number: int) -> str:
    author = (work.get("authors") or [{}])[0]
    name = str(author.get("family-names") or author.get("name") or f"reference{number}")
    return f"{re.sub(r'[^a-z]', '', name.lower())}{work.get('year', '')}"


def _problem(file: str, message: str, fix: str, column: str | None = None) -> Problem:
    return Problem(Reason.NOTES, message, file=file, column=column, fix=fix)
