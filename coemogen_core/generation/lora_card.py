"""The README of an export: what the files are, and how diffusers, ComfyUI and A1111 load them."""

from collections.abc import Mapping

from coemogen_core.generation.lora_metadata import NOTE, Origin


def export_card(origin: Origin, rank: int, num_tokens: int, digests: Mapping[str, str]) -> str:
    """The card as Markdown.

    Args:
        origin: where the export comes from.
        rank: of the LoRA.
        num_tokens: how many words the embedding stands for.
        digests: SHA-256 of each file beside the card, by name.
    """
    name = origin.name
    pairs = ", ".join(f"{pair} {weight:g}" for pair, weight in origin.gate.items())
    rows = "\n".join(f"| `{file}` | `{digest}` |" for file, digest in digests.items())
    return f"""# {origin.title}

A LoRA of rank {rank} (alpha {rank}) and an embedding of {num_tokens} words, made of a CoEmoGen model.

{NOTE}

| | |
|---|---|
| emotion | {origin.emotion}, intensity {origin.intensity:g} |
| HiLoRA pairs and their weights | {pairs} |
| run | `{origin.run_id}`, trained on `{origin.dataset}` |
| base model | {origin.base}, `{origin.config.base_models.get("diffusion", "unknown")}` |
| licence | {origin.licence or "not stated: the base model's and those of the training pictures apply"} |

## diffusers

```python
import torch
from diffusers import StableDiffusionPipeline

# BASE is the folder or hub id of the base model; float16 on a GPU
pipe = StableDiffusionPipeline.from_pretrained(BASE, torch_dtype=torch.float32)
pipe.load_lora_weights(FOLDER, weight_name="pytorch_lora_weights.safetensors")  # FOLDER is this one
pipe.load_textual_inversion(FOLDER, weight_name="{name}.safetensors")
pipe("<{name}>").images[0].save("{name}.png")
```

{_other_tools(origin)}

## Files

| file | SHA-256 |
|---|---|
{rows}
"""


def _other_tools(origin: Origin) -> str:
    if not origin.is_sd1:
        return f"""## ComfyUI, A1111

Not for them: the base model is no Stable Diffusion 1.x (it attends to text of width {origin.width}, SD 1.x to 768). The file
`{origin.name}-lora.safetensors` has their spelling all the same, and diffusers reads it."""
    name = origin.name
    return f"""## ComfyUI

`{name}-lora.safetensors` goes to `models/loras`, `{name}.safetensors` to `models/embeddings`. A LoraLoaderModelOnly (there is nothing
for CLIP in it) with strength 1 after the checkpoint, and the prompt `embedding:{name}`.

## A1111

`{name}-lora.safetensors` goes to `models/Lora`, `{name}.safetensors` to `embeddings`. Prompt: `{name} <lora:{name}-lora:1>`."""
