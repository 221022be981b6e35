"""Facts about how annotators answer: whether the same twice, on which side, how fast, and like others."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from builders.annotator_marks import (
    Estimate,
    FarAnnotators,
    UnsafeAnnotators,
    find_far_annotators,
    find_unsafe_annotators,
    proportion,
)
from schemas.columns import columns_of
from schemas.preferences import Label, Status, Vote

_SIDES = (Label.IMAGE_1.value, Label.IMAGE_2.value)
_LABELS = [label.value for label in Label]


@dataclass(frozen=True, slots=True)
class AnnotatorSummary:
    """How annotators answer, as far as the sources say.

    Attributes:
        repeats: How often a pair that was shown again got the same answer as before.
        mirrors: The same of pairs that were shown again with their sides swapped.
        same_side: How often the same side, and so the other image, was chosen in a mirrored pair, of those
            with both answers for a side.
        left: How often the left image was chosen, of votes for a side that decide.
        num_timed: Votes with a time.
        seconds: Quartiles of the time of a vote, in seconds; None without any.
        far: Annotators who differ from the others far more often than these among themselves.
        unsafe: How often annotators vote for toxic content, and who does far more often than the others.
    """

    repeats: Estimate
    mirrors: Estimate
    same_side: Estimate
    left: Estimate
    num_timed: int
    seconds: tuple[float, float, float] | None
    far: FarAnnotators
    unsafe: UnsafeAnnotators


class AnnotatorCounts:
    """Counts the votes of a release, some pairs at a time.

    Attributes:
        names: All annotators that are known.
    """

    def __init__(self) -> None:
        self.names = set[str]()
        self._again = Counter[tuple[str, str]]()
        self._num_left, self._num_sided = 0, 0
        self._seconds: list[NDArray[np.float64]] = []
        self._matches: dict[str, NDArray[np.int64]] = {}
        self._num_votes, self._num_unsafe = Counter[str](), Counter[str]()

    def add(self, group: pa.Table) -> None:
        """Count the votes of some pairs: rows of `preferences`."""
        votes = flatten_votes(group)
        self.names.update(votes["annotator"].unique().drop_null().to_pylist())
        votes = votes.filter(pc.equal(votes["status"], Status.SUBMITTED.value))
        self._seconds.append(votes["seconds"].drop_null().to_numpy())
        firsts = votes.filter(votes["decides"])
        self._count_sides(firsts)
        self._count_again(firsts, votes.filter(pc.invert(votes["decides"])))
        answers = one_each(firsts, "label")
        self._count_matches(answers, firsts)
        self._num_votes.update(answers["annotator"].to_pylist())
        unsafe = answers.filter(pc.equal(answers["label"], Label.TOXIC.value))
        self._num_unsafe.update(unsafe["annotator"].to_pylist())

    def summary(self) -> AnnotatorSummary:
        """Return what the votes come to."""
        seconds = np.concatenate([np.empty(0), *self._seconds])
        first, middle, third = np.quantile(seconds, (0.25, 0.5, 0.75)) if seconds.size else (0, 0, 0)
        again = self._again
        return AnnotatorSummary(
            repeats=proportion(again["repeat", "same"], again["repeat", "all"]),
            mirrors=proportion(again["mirror", "same"], again["mirror", "all"]),
            same_side=proportion(again["mirror", "same side"], again["mirror", "sided"]),
            left=proportion(self._num_left, self._num_sided),
            num_timed=seconds.size,
            seconds=(float(first), float(middle), float(third)) if seconds.size else None,
            far=find_far_annotators(
                {name: (int(same), int(total)) for name, (same, total) in self._matches.items()}
            ),
            unsafe=find_unsafe_annotators(
                {name: (self._num_unsafe[name], total) for name, total in self._num_votes.items()}
            ),
        )

    def _count_sides(self, firsts: pa.Table) -> None:
        is_side = pc.is_in(firsts["label"], value_set=pa.array(_SIDES))
        sided = firsts.filter(pc.and_(is_side, pc.is_valid(firsts["left"])))
        self._num_sided += len(sided)
        self._num_left += pc.sum(pc.equal(sided["label"], sided["left"])).as_py() or 0

    def _count_again(self, firsts: pa.Table, measuring: pa.Table) -> None:
        """Compare the answers to repeats and mirrors with the first one of the same annotator."""
        again = measuring.filter(pc.is_in(measuring["kind"], value_set=pa.array(["repeat", "mirror"])))
        if not len(again):
            return
        compared = firsts.filter(pc.is_in(firsts["pair"], value_set=again["pair"].combine_chunks()))
        answers = {
            (row["pair"], row["annotator"]): row["label"]
            for row in one_each(compared, "label").select(["pair", "annotator", "label"]).to_pylist()
        }
        for vote in again.select(["pair", "annotator", "label", "kind"]).to_pylist():
            before, kind = answers.get((vote["pair"], vote["annotator"])), vote["kind"]
            if before is None or vote["label"] is None:
                continue
            is_same, is_sided = vote["label"] == before, {vote["label"], before} <= set(_SIDES)
            self._again[kind, "all"] += 1
            self._again[kind, "same"] += is_same
            self._again[kind, "sided"] += is_sided
            self._again[kind, "same side"] += is_sided and not is_same

    def _count_matches(self, votes: pa.Table, firsts: pa.Table) -> None:
        """Count for each annotator the pairs on which most of the others agree, and where they do, too.

        Args:
            votes: One vote of each annotator on a pair.
            firsts: All votes that decide; those without an annotator are of others, too.
        """
        nameless = firsts.filter(pc.is_null(firsts["annotator"]))
        everybody = pa.concat_tables([votes.select(["pair", "label"]), nameless.select(["pair", "label"])])
        everybody = everybody.filter(pc.is_valid(everybody["label"]))
        if not len(everybody):
            return
        num_pairs = pc.max(everybody["pair"]).as_py() + 1
        counts = np.zeros((num_pairs, len(_LABELS)), np.int64)
        np.add.at(counts, (everybody["pair"].to_numpy(), _numbers(everybody["label"])), 1)
        pairs, labels = votes["pair"].to_numpy(), _numbers(votes["label"])
        others = counts[pairs]
        others[np.arange(len(pairs)), labels] -= 1
        most = others.max(axis=1, initial=0)
        is_clear = (most > 0) & ((others == most[:, np.newaxis]).sum(axis=1) == 1)
        is_same = is_clear & (others.argmax(axis=1) == labels)
        names, places = np.unique(votes["annotator"].to_numpy(), return_inverse=True)
        found = np.zeros((len(names), 2), np.int64)
        np.add.at(found, places, np.stack([is_same, is_clear], axis=1).astype(np.int64))
        for name, numbers in zip(names.tolist(), found, strict=True):
            self._matches[name] = self._matches.get(name, np.zeros(2, np.int64)) + numbers


def flatten_votes(group: pa.Table) -> pa.Table:
    """Return the votes of some pairs, one a row: the pair's place, fields of `Vote`, and `decides`.

    Fields that came later are null in the files of older releases.
    """
    lists = group["votes"].combine_chunks()
    votes = pc.list_flatten(lists)
    there = {field.name for field in votes.type}
    fields = {spec.name: spec.arrow for spec in columns_of(Vote)}
    columns = {
        name: votes.field(name) if name in there else pa.nulls(len(votes), kind)
        for name, kind in fields.items()
    }
    decides = pc.fill_null(pc.equal(columns["kind"], "first"), fill_value=True)
    return pa.table({"pair": pc.list_parent_indices(lists), **columns, "decides": decides})


def one_each(votes: pa.Table, column: str) -> pa.Table:
    """Return one row for each pair and annotator, without those who contradict themselves in a column."""
    named = votes.filter(pc.and_(pc.is_valid(votes["annotator"]), pc.is_valid(votes[column])))
    by_pair = named.group_by(["pair", "annotator"]).aggregate([(column, "min"), (column, "max")])
    by_pair = by_pair.filter(pc.equal(by_pair[f"{column}_min"], by_pair[f"{column}_max"]))
    return by_pair.select(["pair", "annotator", f"{column}_min"]).rename_columns(
        ["pair", "annotator", column]
    )


def _numbers(labels: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return the places of labels in `_LABELS`."""
    places: NDArray[np.int64] = pc.index_in(labels, value_set=pa.array(_LABELS)).to_numpy().astype(np.int64)
    return places
