"""Rules that make any text of a release easy to read."""

import re
from collections.abc import Mapping

MAX_CODE_LINE = 90


def tables_of(text: str) -> Mapping[str, list[list[str]]]:
    """Return head of a table's first column → rows of cells."""
    return {
        table.splitlines()[0].strip("| ").split(" | ")[0]: [
            [cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]
        ]
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    }


def check_readable(text: str) -> None:
    """See that code fits, that tables have heads, gaps between them and no rows of zeros, and more."""
    code = re.findall(r"^```.*?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    for line in "".join(code).splitlines():
        assert len(line) <= MAX_CODE_LINE, line
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, rule, *rows = table.splitlines()
        assert rows, head
        assert all(cell.strip() for cell in head.strip("|").split("|")), head
        assert re.fullmatch(r"[|:\-]+", rule), rule
        assert not any(re.fullmatch(r"[|:\- ]+", row) for row in rows), "two tables touch"
        zeros = [row for row in rows if set(re.findall(r"\| ([\d,]+) (?=\|)", row)) == {"0"}]
        assert not zeros, zeros
    assert "\n\n\n" not in text
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    assert not re.search(r"\bNone\b|\{\{ |\{%", text)
