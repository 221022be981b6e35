"""What DuckDB counts in a release, to be compared with what the page shows."""

from pathlib import Path
from typing import Any

import duckdb

# Facet → value → number of pictures.
Counts = dict[str, dict[str, int]]
_PLAIN = ("generator", "split", "license", "format")


def _connect(release: Path) -> Any:
    connection = duckdb.connect()
    for config in ("prompts", "captions"):
        connection.execute(f"create view {config} as from read_parquet('{release}/{config}/*.parquet')")
    for path in release.glob("clip_*"):
        if not path.name.endswith("_captions"):
            connection.execute(f"create view features as from read_parquet('{path}/*.parquet')")
    return connection


def select_ids(release: Path, condition: str) -> list[str]:
    """Return the ids of the pictures for which a condition on `prompts` holds, in the release's order."""
    found = _connect(release).execute(f"select image_id from prompts where {condition}").fetchall()
    return [image_id for (image_id,) in found]


def sort_ids(release: Path, order: str) -> list[str]:
    """Return the ids of all pictures by their adherence."""
    query = f"select image_id from features order by prompt_similarity {order}"
    return [image_id for (image_id,) in _connect(release).execute(query).fetchall()]


def count_facets(release: Path, condition: str) -> Counts:
    """Count the pictures of each value among those for which a condition on `prompts` holds."""
    connection = _connect(release)
    connection.execute(f"create view chosen as from prompts where {condition}")
    queries = [f"select '{name}', {name}, count(*) from chosen group by all" for name in _PLAIN]
    queries += [
        """select 'asked:' || unnested.attribute, unnested.value, count(distinct image_id)
        from (select image_id, unnest(prompt_attributes) as unnested from chosen) group by all""",
        """select 'seen:' || unnested.attribute, unnested.value, count(distinct image_id)
        from (select image_id, unnest(attributes) as unnested from captions semi join chosen using (image_id))
        group by all""",
    ]
    counts: Counts = {}
    for query in queries:
        for name, value, number in connection.execute(query).fetchall():
            counts.setdefault(name, {})[value] = number
    return counts


def read_facets(page: Any) -> Counts:
    """Return what the page shows, with every facet unfolded; values that no picture has are left out."""
    page.evaluate("document.querySelectorAll('#facets details').forEach((each) => { each.open = true })")
    while page.locator("#facets .more", has_text="more").count():
        page.locator("#facets .more", has_text="more").first.click()
    shown = page.locator("#facets [data-facet]").evaluate_all(
        "all => all.map(each => [each.dataset.facet, each.dataset.value, "
        "Number(each.querySelector('.number').textContent.replaceAll(',', ''))])"
    )
    counts: Counts = {}
    for name, value, number in shown:
        if number:
            counts.setdefault(name, {})[value] = number
    return counts
