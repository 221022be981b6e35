"""Run Salesforce's Diffusion-DPO script on a CPU: `python run_without_xformers.py train.py ARGUMENT …`.

The script stops without xformers, which needs a GPU and only makes attention faster. Here the script finds an
empty module of that name, and attention stays that of diffusers. Nothing else is changed.
"""

import runpy
import sys
import types

import diffusers.utils.import_utils
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel

# All modules of diffusers that look for xformers are imported by now.
LOADED = (StableDiffusionPipeline, StableDiffusionXLPipeline)

if __name__ == "__main__":
    UNet2DConditionModel.enable_xformers_memory_efficient_attention = lambda *_: None
    diffusers.utils.import_utils.is_xformers_available = lambda: True
    empty = types.ModuleType("xformers")
    vars(empty)["__version__"] = "0.0.22"
    sys.modules["xformers"] = empty
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
