"""Annotators of a catalog: whose votes fall on one side too often for shuffled sides."""

import sqlite3

from builders.annotator_marks import find_side_biases
from builders.catalog.ledger import Ledger
from schemas.configs import Table
from schemas.problems import Problem, Reason

# Side 1 is the left one where a vote says which image was there. Elsewhere it is the pair's first image:
# votes of a row whose sides are the other way round count for the sides of the pair's first row, as in the
# release. An annotator has one vote for a pair, and none if two of them contradict each other.
_COUNT_SIDES = """
WITH heads AS (
    SELECT place, source, id AS pair_id, image_1 AS head, min(rowid) FROM pairs GROUP BY place, source, id
), votes AS (
    SELECT
        heads.place, heads.source, pair_id, json_extract(vote.value, '$[0]') AS annotator,
        coalesce(
            json_extract(vote.value, '$[1]') = json_extract(vote.value, '$[3]'),
            (json_extract(vote.value, '$[1]') = 'image_1') = (pair.image_1 = head)
        ) AS is_first
    FROM pairs pair
    JOIN heads ON heads.place = pair.place AND heads.source = pair.source AND pair_id = pair.id
    JOIN json_each(pair.votes) vote
    WHERE json_extract(pair.content, '$.sides_shuffled') AND json_extract(vote.value, '$[0]') IS NOT NULL
    AND json_extract(vote.value, '$[1]') IN ('image_1', 'image_2')
    AND json_extract(vote.value, '$[2]') = 'submitted'
    AND coalesce(json_extract(vote.value, '$[6]'), 'first') = 'first'
)
SELECT annotator, sum(is_first), sum(NOT is_first) FROM (
    SELECT annotator, min(is_first) AS is_first FROM votes
    GROUP BY place, source, pair_id, annotator HAVING min(is_first) = max(is_first)
) GROUP BY annotator
"""


def read_sides(db: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """Count the votes for side 1 and side 2 of each annotator, in pairs with shuffled sides."""
    return {name: (first, second) for name, first, second in db.execute(_COUNT_SIDES)}


def note_one_sided(db: sqlite3.Connection, ledger: Ledger) -> None:
    """Note each annotator who favours a side, among the pairs that are left."""
    votes = read_sides(db)
    if not votes:
        return
    for bias in find_side_biases(votes).found:
        first, second = votes[bias.annotator]
        side, most = (1, first) if first > second else (2, second)
        message = f"an annotator chose side {side} in {most:,} of {first + second:,} votes on shuffled sides"
        fix = "look at the votes of this annotator; the card lists every such annotator"
        problem = Problem(Reason.ONE_SIDED_ANNOTATOR, message, value=bias.annotator, fix=fix)
        ledger.note(None, problem, Table.PREFERENCES)
