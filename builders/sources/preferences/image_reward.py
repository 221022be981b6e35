"""ImageReward (https://huggingface.co/datasets/THUDM/ImageRewardDB): pairs, or ranks of a prompt's images.

Ranks come one image a row, or all images of a prompt in one row: `id, prompt, generations, ranking`, as
in data/test.json of THUDM/ImageReward, whose test.py takes the smaller rank for the better one.

A pair puts the better image first, and so do the pairs made of ranks: the order of sides says nothing of
a bias. Images of equal rank are a tie.
"""

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput, RankingInput, RankInput, Side, pair_id_of
from builders.sources.preferences.form import Annotators, Form, has_image, read_ranked, read_ranks, read_side
from schemas.preferences import Label

_IMAGES = ("image_path", "image", "file_name", "image_filename")


def _read_pair(cells: Cells, _: Annotators) -> PairInput | None:
    prompt = cells.text("prompt", required=True)
    better, worse = (cells.text(column, required=True) for column in ("img_better", "img_worse"))
    if better is None or worse is None or cells.problems:
        return None
    return PairInput(
        id=pair_id_of(prompt, [better, worse]),
        prompt=prompt,
        sides=(Side(better, None), Side(worse, None)),
        votes=(RawVote(None, Label.IMAGE_1.value),),
        is_whole=False,
        sides_shuffled=False,
    )


def _read_rank(cells: Cells, _: Annotators) -> RankInput | None:
    prompt_id, prompt = cells.text("prompt_id", required=True), cells.text("prompt")
    image = next((name for name in _IMAGES if has_image(cells, name)), _IMAGES[0])
    side, rank = read_side(cells, image, None), cells.number("rank", 1, 1000)
    if rank is None and not cells.problems:
        cells.wrong("rank", "the image has no rank", "fill it in, 1 for the best")
    if prompt_id is None or side is None or rank is None or cells.problems:
        return None
    return RankInput(prompt_id=prompt_id, prompt=prompt, side=side, rank=rank)


def _read_ranking(cells: Cells, _: Annotators) -> RankingInput | None:
    prompt, sides = cells.text("prompt"), read_ranked(cells, "generations")
    ranks = read_ranks(cells, "ranking", cells.items("ranking"), len(sides)) if sides else None
    if sides is None or ranks is None or cells.problems:
        return None
    return RankingInput(cells.text("id"), prompt, sides, ((None, ranks),))


PAIRS = Form((("prompt",), ("img_better",), ("img_worse",)), _read_pair)
RANKS = Form((("prompt_id",), ("rank",), _IMAGES), _read_rank)
RANKINGS = Form((("generations",), ("ranking",)), _read_ranking, reads=("id",))
