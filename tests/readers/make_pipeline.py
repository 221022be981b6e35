"""Save a Stable Diffusion pipeline with tiny random weights: `python make_pipeline.py FOLDER`.

It runs in an environment with diffusers and transformers. Its tokenizer splits words into bytes.
"""

import json
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

START, END = "<|startoftext|>", "<|endoftext|>"
WIDTH = 32


def make_tokenizer(folder: Path) -> CLIPTokenizer:
    """Make a tokenizer without merges; its files go to a folder."""
    letters = list(bytes_to_unicode().values())
    symbols = [*letters, *(f"{letter}</w>" for letter in letters), START, END]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({symbol: number for number, symbol in enumerate(symbols)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=77)


def make_pipeline(folder: Path) -> None:
    """Save the pipeline."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer(folder / "vocabulary")
    start, end = tokenizer.convert_tokens_to_ids([START, END])
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=WIDTH,
            num_attention_heads=4,
            num_hidden_layers=2,
            bos_token_id=start,
            eos_token_id=end,
            pad_token_id=end,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(WIDTH, 2 * WIDTH),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
    )
    vae = AutoencoderKL(
        block_out_channels=(WIDTH, 2 * WIDTH),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDPMScheduler(),
        safety_checker=None,
        feature_extractor=None,
    ).save_pretrained(folder)


if __name__ == "__main__":
    make_pipeline(Path(sys.argv[1]))
