"""How far annotators agree, over the votes of a release that count."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from builders.annotator_marks import Estimate, find_first_answers
from builders.card.facts.annotators import flatten_votes
from builders.preferences.agreement import krippendorff_alpha
from schemas.preferences import Label, Status

LABELS = (Label.IMAGE_1, Label.IMAGE_2, Label.BOTH_GOOD, Label.BOTH_BAD, Label.TIE, Label.TOXIC)
VOTES = [f"votes_{label.value.removesuffix('_content')}" for label in LABELS]
_COMPARED = 2


class AgreementCounts:
    """Counts what was said of each pair, some pairs at a time.

    A campaign asks further people where the first two differ. With all votes, pairs in dispute would weigh
    more, and alpha would come out wrong. So where all votes of a pair have times, its first two stand for it.

    Attributes:
        leaves_out: Whether some pairs have later votes, which do not enter.
    """

    def __init__(self) -> None:
        self.leaves_out = False
        self._patterns = Counter[tuple[int, ...]]()

    def add(self, group: pa.Table) -> None:
        """Count the votes of some pairs: rows of `preferences`."""
        counts = np.stack([group[name].to_numpy() for name in VOTES], axis=1).astype(np.int64)
        votes = _find_timed(group)
        pairs = votes["pair"].to_numpy()
        # Where other votes count than these, by another rule, all of them stay.
        is_cut = np.bincount(pairs, minlength=len(counts)) == counts.sum(axis=1)
        is_cut &= counts.sum(axis=1) > _COMPARED
        if is_cut.any():
            self.leaves_out = True
            labels = pc.index_in(votes["label"], value_set=pa.array([str(label) for label in LABELS]))
            is_first = find_first_answers(pairs, votes["time"].to_pylist(), _COMPARED) & is_cut[pairs]
            counts[is_cut] = 0
            np.add.at(counts, (pairs[is_first], labels.to_numpy()[is_first]), 1)
        patterns, numbers = np.unique(counts, axis=0, return_counts=True)
        for pattern, number in zip(patterns.tolist(), numbers.tolist(), strict=True):
            self._patterns[tuple(pattern)] += number

    def alpha(self) -> Estimate:
        """Return Krippendorff's alpha of pairs with two votes or more."""
        patterns = sorted(self._patterns)
        shape: NDArray[np.int64] = np.array(patterns, np.int64).reshape(-1, len(LABELS))
        return krippendorff_alpha(shape, np.array([self._patterns[each] for each in patterns], np.int64))


def _find_timed(group: pa.Table) -> pa.Table:
    """Return the votes that count of pairs whose votes all have times, in their order: pair, label and time.

    An annotator who says the same twice has one vote, the earlier one; one who contradicts themself has none.
    """
    votes = flatten_votes(group)
    votes = votes.append_column("place", pa.array(range(len(votes)), pa.int64()))
    counts = pc.and_(pc.equal(votes["status"], Status.SUBMITTED.value), pc.is_valid(votes["label"]))
    votes = votes.filter(pc.and_(votes["decides"], counts))
    untimed = votes.filter(pc.is_null(votes["time"]))["pair"].combine_chunks()
    votes = votes.filter(pc.invert(pc.is_in(votes["pair"], value_set=untimed)))
    named = votes.filter(pc.is_valid(votes["annotator"])).group_by(["pair", "annotator"])
    said = named.aggregate([("label", "min"), ("label", "max"), ("time", "min"), ("place", "min")])
    said = said.filter(pc.equal(said["label_min"], said["label_max"]))
    said = said.select(["pair", "label_min", "time_min", "place_min"])
    columns = ["pair", "label", "time", "place"]
    nameless = votes.filter(pc.is_null(votes["annotator"])).select(columns)
    return pa.concat_tables([said.rename_columns(columns), nameless]).sort_by("place")
