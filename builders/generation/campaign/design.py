"""The pairs of a campaign: two images of one prompt, balanced over categories and generators, with sides."""

import hashlib
import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from itertools import combinations
from math import comb, isqrt

from builders.generation.campaign.balance import choose_rounding
from builders.generation.campaign.candidates import Candidate
from schemas.campaign import Side

# A prompt with many images has many pairs; so many are enough to choose from.
MAX_PAIRS_OF_PROMPT = 200
_Cell = tuple[str, str, str]
_Turn = tuple[int, int, float, _Cell]


@dataclass(frozen=True, slots=True)
class ChosenPair:
    """Two images that are compared.

    Attributes:
        first: Image 1.
        second: Image 2.
        first_left: The image that the first annotator sees on the left.
        gold: The known answer, as seen from these two; None for pairs that are decided by votes.
    """

    first: Candidate
    second: Candidate
    first_left: Side
    gold: str | None = None


def possible_pairs(candidates: Iterable[Candidate], seed: int = 0) -> Iterator[tuple[Candidate, Candidate]]:
    """Yield two images of one prompt: of different generators, or of one where a prompt has no others.

    A prompt with very many pairs yields some of them, drawn by chance: as many of each two generators as of
    any other two, as far as there are so many.
    """
    by_prompt: dict[str, dict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for candidate in candidates:
        by_prompt[candidate.prompt][candidate.generator].append(candidate)
    for prompt, images in by_prompt.items():
        chance = random.Random(f"possible {seed} {prompt}")  # noqa: S311 - to be repeated, no secret
        models = list(combinations(images, 2)) or [(generator, generator) for generator in images]
        chance.shuffle(models)  # of more than there may be pairs, those that have one are drawn, too
        sizes = [_num_pairs(images[first], images[second]) for first, second in models]
        for (first, second), size, share in zip(models, sizes, _share_out(sizes), strict=True):
            for number in chance.sample(range(size), share):
                yield _numbered_pair(images[first], images[second], number)


def _num_pairs(first: Sequence[Candidate], second: Sequence[Candidate]) -> int:
    return comb(len(first), 2) if first is second else len(first) * len(second)


def _numbered_pair(
    first: Sequence[Candidate], second: Sequence[Candidate], number: int
) -> tuple[Candidate, Candidate]:
    """Return one of the pairs without listing the others, which can be millions."""
    if first is not second:
        return first[number // len(second)], second[number % len(second)]
    high = (1 + isqrt(1 + 8 * number)) // 2
    return first[number - comb(high, 2)], first[high]


def _share_out(sizes: Sequence[int]) -> list[int]:
    """Return how many pairs to take of each group: equal numbers, and more where others have fewer."""
    shares, left = [0] * len(sizes), MAX_PAIRS_OF_PROMPT
    for done, place in enumerate(sorted(range(len(sizes)), key=lambda each: sizes[each])):
        shares[place] = min(sizes[place], left // (len(sizes) - done))
        left -= shares[place]
    return shares


def choose_pairs(
    candidates: Sequence[Candidate], num_pairs: int, seed: int, taken: Iterable[frozenset[str]] = ()
) -> list[tuple[Candidate, Candidate]]:
    """Choose pairs so that prompts, then categories, then generators have equal numbers as far as they can.

    Args:
        candidates: The images.
        num_pairs: How many pairs; fewer are returned if there are no more.
        seed: Decides between pairs that are equally good.
        taken: Names of two images that stand in a pair already.
    """
    chance, left_out = random.Random(f"pairs {seed}"), set(taken)  # noqa: S311 - to be repeated, no secret
    cells: dict[_Cell, list[tuple[Candidate, Candidate]]] = defaultdict(list)
    for pair in possible_pairs(candidates, seed):
        if frozenset(image.name for image in pair) not in left_out:
            cells[_cell(pair)].append(pair)
    for pairs in cells.values():
        chance.shuffle(pairs)
    turns = _Turns({cell: chance.random() for cell in sorted(cells)})
    chosen, uses, level = list[tuple[Candidate, Candidate]](), Counter[str](), 0
    while len(chosen) < num_pairs and any(cells.values()):
        # Each round takes at most one more pair of a prompt, so that no prompt has two before all have one.
        queues = {cell: deque(pairs) for cell, pairs in cells.items()}
        later: dict[_Cell, list[tuple[Candidate, Candidate]]] = defaultdict(list)
        turns.start(queues)
        while len(chosen) < num_pairs and (cell := turns.next_cell()) is not None:
            taken_pair = _take(queues[cell], uses, level, later[cell])
            if taken_pair is not None:
                chosen.append(taken_pair)
                uses[taken_pair[0].prompt] += 1
                turns.count(cell)
        cells, level = later, level + 1
    return chosen


class _Turns:
    """Whose turn it is: the category, in it the cell, then the generators with the fewest pairs up to now.

    Cells of two generators are in a heap. Its order is that of numbers which only grow, so an entry is
    brought up to date when it comes to the top. So thousands of categories take no longer than two.

    Args:
        ranks: Decide between cells that are equal in all numbers.
    """

    def __init__(self, ranks: Mapping[_Cell, float]) -> None:
        self._ranks = ranks
        self._categories, self._cells = Counter[str](), Counter[_Cell]()
        self._models = Counter[tuple[str, str]]()
        self._heaps: dict[tuple[str, str], list[_Turn]] = {}

    def start(self, cells: Iterable[_Cell]) -> None:
        """Begin a round of cells that have pairs."""
        self._heaps = defaultdict(list)
        for cell in cells:
            heappush(self._heaps[cell[1:]], self._turn(cell))

    def next_cell(self) -> _Cell | None:
        """Return the cell whose turn it is, and leave it out until it is counted; None without any."""
        tops = list[tuple[int, int, int, float, _Cell]]()
        for models, heap in self._heaps.items():
            while heap and heap[0] != (turn := self._turn(heap[0][-1])):
                heapreplace(heap, turn)
            if heap:
                in_category, in_cell, rank, cell = heap[0]
                tops.append((in_category, in_cell, self._models[models], rank, cell))
        if not tops:
            return None
        chosen = min(tops)[-1]
        heappop(self._heaps[chosen[1:]])
        return chosen

    def count(self, cell: _Cell) -> None:
        """Count a pair of a cell, whose turn comes again."""
        self._categories[cell[0]] += 1
        self._cells[cell] += 1
        self._models[cell[1:]] += 1
        heappush(self._heaps[cell[1:]], self._turn(cell))

    def _turn(self, cell: _Cell) -> _Turn:
        return self._categories[cell[0]], self._cells[cell], self._ranks[cell], cell


def place_sides(pairs: Sequence[tuple[Candidate, Candidate]], seed: int) -> list[ChosenPair]:
    """Say which image is image 1, and which is on the left at first, so that both are balanced exactly.

    Of each two generators, each is on the left in half of the pairs: over all pairs, and over those of each
    category. So is image 1. Within a category, so is the generator whose name comes first, whatever the other
    one is. The halves of odd numbers differ by one. The result has an order by chance.
    """
    chance = random.Random(f"sides {seed}")  # noqa: S311 - to be repeated, no secret
    shuffled = list(pairs)
    chance.shuffle(shuffled)
    cells: dict[_Cell, list[tuple[Candidate, Candidate]]] = defaultdict(list)
    for pair in shuffled:
        cells[_cell(pair)].append(pair)
    odd = sorted(cell for cell, members in cells.items() if len(members) % 2)
    table = [(cell[0], cell[1:]) for cell in odd]
    more_low, more_first = (dict(zip(odd, choose_rounding(table, chance), strict=True)) for _ in range(2))
    placed = list[ChosenPair]()
    for cell, members in sorted(cells.items()):
        starts_low, starts_first = (
            more[cell] if cell in more else chance.random() < 0.5 for more in (more_low, more_first)
        )
        for number, pair in enumerate(members):
            low, high = sorted(pair, key=lambda image: (image.generator, image.configs, image.name))
            left, right = (low, high) if starts_low == (number % 2 == 0) else (high, low)
            # In halves, not in turn, so that image 1 is not always of the same generator.
            if starts_first == (2 * number < len(members)):
                placed.append(ChosenPair(left, right, "image_1"))
            else:
                placed.append(ChosenPair(right, left, "image_2"))
    chance.shuffle(placed)
    return placed


def pair_id(prompt: str, image_1_id: str, image_2_id: str) -> str:
    """Return the identity of a pair: a digest of its prompt and images."""
    digest = hashlib.sha256("\0".join((prompt, image_1_id, image_2_id)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def count_categories(pairs: Iterable[tuple[Candidate, Candidate]]) -> Mapping[str, int]:
    """Return how many pairs each category has, in its order."""
    return dict(sorted(Counter(_cell(pair)[0] for pair in pairs).items()))


def _cell(pair: tuple[Candidate, Candidate]) -> _Cell:
    first, second = sorted(image.generator for image in pair)
    return pair[0].facts.category or "", first, second


def _take(
    queue: deque[tuple[Candidate, Candidate]],
    uses: Mapping[str, int],
    level: int,
    later: list[tuple[Candidate, Candidate]],
) -> tuple[Candidate, Candidate] | None:
    """Take the next pair whose prompt was used at most `level` times; others wait in `later`."""
    while queue:
        pair = queue.popleft()
        if uses.get(pair[0].prompt, 0) <= level:
            return pair
        later.append(pair)
    return None
