"""Halve what is counted in a table with an odd number in each cell, so that no row and no column leans."""

import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

_Vertex = tuple[str, Hashable]
_SPARE = ("row", None), ("column", None)  # takes what an odd row or column has too much


def choose_rounding(cells: Sequence[tuple[Hashable, Hashable]], chance: random.Random) -> list[bool]:
    """Return for each cell whether its half is rounded up.

    In each row, in each column and in all, as many are rounded up as down, or one more or less: cells are
    edges between rows and columns, and closed walks over all edges leave each place as often as they come.

    Args:
        cells: Row and column of each cell, neither of them None; each cell once.
        chance: Decides between what is equally good.
    """
    edges: list[tuple[_Vertex, _Vertex]] = [(("row", row), ("column", column)) for row, column in cells]
    degrees = Counter(vertex for edge in edges for vertex in edge)
    odd = [vertex for vertex, degree in degrees.items() if degree % 2]
    rows = [vertex for vertex in odd if vertex[0] == "row"]
    edges += [(vertex, _SPARE[1]) for vertex in rows]
    edges += [(_SPARE[0], vertex) for vertex in odd if vertex[0] == "column"]
    edges += [_SPARE] * (len(rows) % 2)
    numbers = list(range(len(edges)))
    chance.shuffle(numbers)
    open_edges: dict[_Vertex, list[int]] = defaultdict(list)
    for number in numbers:
        for vertex in edges[number]:
            open_edges[vertex].append(number)
    is_up, done = [False] * len(edges), set[int]()
    for start in list(open_edges):
        vertex, turn = start, chance.random() < 0.5
        while open_edges[vertex]:
            number = open_edges[vertex].pop()
            if number not in done:
                done.add(number)
                row, column = edges[number]
                is_up[number] = (vertex == row) != turn
                vertex = column if vertex == row else row
    return is_up[: len(cells)]
