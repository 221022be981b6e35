"""The demonstration encoder: a small open_clip model, trained on drawn faces and on nothing else."""

from pathlib import Path

from builders.demo_encoder.words import CONTEXT_LENGTH, tokenize, vocabulary

__all__ = ["CONFIG", "CONTEXT_LENGTH", "WEIGHTS", "tokenize", "vocabulary"]

CONFIG = Path(__file__).parent / "sfhq-demo.json"
WEIGHTS = Path(__file__).parent / "weights.safetensors"
