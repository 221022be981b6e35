"""The demonstration encoder: a small open_clip model, trained on drawn faces and on nothing else.

It shows what features and a search over them look like without a download. It sees 64 x 64 pixels, reads
181 words (colours, hair, glasses, hats, beards, moods, backgrounds, light), leaves out every other word, and
knows nothing of photographs. A face drawn here is neither a woman's nor a man's, and these words do nothing.

`train.py` made `weights.safetensors` (1.9 million numbers, float16) from 20,000 drawn faces; `measure.py`
measures them on 2,000 others. Of the first five faces that each of 30 queries finds, 97 % are what it asks
for; "person with green hair and glasses" finds five of five.

    python -m benchmarks.demo_encoder.train --cache FOLDER    # 1 GB; half an hour on two cores
    python -m benchmarks.demo_encoder.measure                 # minutes
"""

from pathlib import Path

from builders.sample.encoder.words import CONTEXT_LENGTH, EXAMPLES, sort_words, tokenize, vocabulary

__all__ = ["CONFIG", "CONTEXT_LENGTH", "EXAMPLES", "WEIGHTS", "sort_words", "tokenize", "vocabulary"]

CONFIG = Path(__file__).parent / "sfhq-demo.json"
WEIGHTS = Path(__file__).parent / "weights.safetensors"
