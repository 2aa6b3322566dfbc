"""What an exported file says of itself in its header: where it comes from, and what ComfyUI, A1111 and sd-scripts look for.

Keys: `coemogen.*` is the origin, complete enough to make the file again; `ss_*` and `sshs_*` are those of sd-scripts, which A1111 shows;
`modelspec.*` is Stability's ModelSpec 1.0.1 as sd-scripts fills it. There is no date: the same model gives the same bytes.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from coemogen_core.markdown import table_cell
from coemogen_core.model.saved_model import SavedModelConfig
from schemas.frozen_model import FrozenModel

SD1_WIDTH = 768  # of the text that a Stable Diffusion 1.x U-Net attends to: 2.x has 1024, XL 2048
NOTE = (
    "A LoRA alone carries HiLoRA, the way of drawing. What the pictures show comes from pseudo-words that CoEmoGen's conditioner makes "
    "of the emotion and a visual embedding: prompt with the embedding file beside this one, which holds them for the middle of the "
    "emotion's cluster, or with words of your own. A visual embedding drawn anew for each picture, hence variety, is left to CoEmoGen's "
    "own pipeline."
)


class Origin(FrozenModel):
    """Where an export comes from."""

    name: str = Field(description="of the export: its folder, its embedding's file")
    weights: dict[str, float] = Field(description="weights of the emotions, summing to one")
    intensity: float = Field(ge=0, description="factor on the gates")
    gate: dict[str, float] = Field(description="the open pairs and their weights")
    run_id: str = Field(description="run of the trained model")
    hilora_sha256: str = Field(description="SHA-256 of the run's hilora.safetensors")
    base: str = Field(description="the diffusion model's name: hub id, or the last part of its folder")
    resolution: int = Field(ge=1, description="width of the pictures that the base draws, in pixels")
    prediction_type: str = Field(description="of the base: epsilon or v_prediction")
    width: int = Field(ge=1, description="width of the text that the base attends to")
    licence: str | None = Field(default=None, description="licence of the export; none = not stated")
    config: SavedModelConfig = Field(description="configuration of the trained model")

    @property
    def emotion(self) -> str:
        """For people: `awe`, or `awe 60 %, fear 40 %`."""
        if len(self.weights) == 1:
            return next(iter(self.weights))
        return ", ".join(f"{emotion} {weight:.0%}".replace("%", " %") for emotion, weight in self.weights.items())

    @property
    def title(self) -> str:
        """For people: `CoEmoGen awe`."""
        return f"CoEmoGen {self.emotion}" + ("" if self.intensity == 1 else f" x {self.intensity:g}")

    @property
    def is_sd1(self) -> bool:
        """Whether the base is a Stable Diffusion 1.x, which is what ComfyUI and A1111 can put the files on."""
        return self.width == SD1_WIDTH

    @property
    def dataset(self) -> str:
        """Name of the training corpus."""
        return str(self.config.training.get("dataset", "unknown"))


def lora_metadata(origin: Origin, rank: int, tensors_hash: str) -> dict[str, str]:
    """Header of a LoRA of this rank; `tensors_hash` is the SHA-256 of the tensors' bytes."""
    images = origin.config.training.get("images_per_emotion", {})
    count = sum(images.get(emotion, 0) for emotion in origin.weights)
    kohyas = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": rank,
        "ss_network_alpha": float(rank),
        "ss_base_model_version": "sd_v1" if origin.is_sd1 else "other",
        "ss_v2": False,
        "ss_output_name": f"{origin.name}-lora",
        "ss_sd_model_name": origin.base,
        "ss_num_train_images": count,
        "ss_dataset_dirs": json.dumps({origin.dataset: {"n_repeats": 1, "img_count": count}}),
        "ss_resolution": f"({origin.resolution}, {origin.resolution})",
        **_training_fields(origin.config.training.get("recipe", {})),
    }
    spec = _modelspec(origin, "lora", tensors_hash, f"with the embedding {origin.name}, or the emotion in words")
    return _as_text({**_common(origin), **kohyas, "sshs_model_hash": tensors_hash, **spec})


def embedding_metadata(origin: Origin, tensors_hash: str) -> dict[str, str]:
    """Header of the embedding file; `tensors_hash` is the SHA-256 of the tensors' bytes."""
    hint = f"prompt {origin.name} in A1111, embedding:{origin.name} in ComfyUI, <{origin.name}> in diffusers; with the LoRA of that name"
    spec = _modelspec(origin, "textual-inversion", tensors_hash, hint)
    return _as_text({**_common(origin), **spec, "modelspec.trigger_phrase": origin.name})


def _common(origin: Origin) -> dict[str, Any]:
    training = origin.config.training
    return {
        "format": "pt",
        "coemogen.emotion": json.dumps(origin.weights),
        "coemogen.intensity": origin.intensity,
        "coemogen.gate": json.dumps(origin.gate),
        "coemogen.run_id": origin.run_id,
        "coemogen.dataset": origin.dataset,
        "coemogen.features": training.get("features", "unknown"),
        "coemogen.hilora_sha256": origin.hilora_sha256,
        "coemogen.base_models": json.dumps(origin.config.base_models, sort_keys=True),
        "coemogen.licence": origin.licence or "not stated",
        "coemogen.note": NOTE,
    }


def _modelspec(origin: Origin, kind: Literal["lora", "textual-inversion"], tensors_hash: str, hint: str) -> dict[str, Any]:
    stated = {} if origin.licence is None else {"modelspec.license": origin.licence}
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{'stable-diffusion-v1' if origin.is_sd1 else 'other'}/{kind}",
        "modelspec.implementation": "diffusers" if kind == "lora" else "https://github.com/Stability-AI/generative-models",
        "modelspec.title": origin.title,
        "modelspec.description": NOTE,
        "modelspec.resolution": f"{origin.resolution}x{origin.resolution}",
        "modelspec.hash_sha256": f"0x{tensors_hash}",
        "modelspec.prediction_type": "v" if origin.prediction_type == "v_prediction" else origin.prediction_type,
        "modelspec.tags": ", ".join(["emotion", *origin.weights]),
        "modelspec.usage_hint": hint,
        **stated,
    }


def _training_fields(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """sd-scripts' names for what our recipe records; what a recipe does not record is left out."""
    names = {
        "ss_learning_rate": "learning_rate",
        "ss_max_train_steps": "steps",
        "ss_steps": "steps",
        "ss_total_batch_size": "batch_size",
        "ss_lr_scheduler": "schedule",
        "ss_lr_warmup_steps": "warmup_steps",
        "ss_max_grad_norm": "max_gradient_norm",
        "ss_min_snr_gamma": "min_snr_gamma",
        "ss_noise_offset": "offset_noise",
        "ss_seed": "seed",
    }
    return {kohyas: recipe[ours] for kohyas, ours in names.items() if ours in recipe}


def _as_text(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items()}


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
| base model | {table_cell(origin.base)}, `{origin.config.base_models.get("diffusion", "unknown")}` |
| licence | {table_cell(origin.licence or "") or "not stated: the base model's and those of the training pictures apply"} |

## diffusers, from 0.40 on

```python
import torch
from diffusers import StableDiffusionPipeline

# BASE is the folder or hub id of the base model; float16 on a GPU
pipe = StableDiffusionPipeline.from_pretrained(BASE, dtype=torch.float32)
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
