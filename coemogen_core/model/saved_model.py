"""A trained model on disk: `conditioner.safetensors`, `hilora.safetensors`, `clusters.safetensors`, `config.json`, a model card.

`config.json` is written last: its existence means that the model is complete.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from safetensors.torch import load, save
from torch import Tensor

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.clusters import EmotionClusters
from coemogen_core.model.conditioner import Conditioner, ConditionerConfig
from coemogen_core.model.gates import EmotionQuery, gate_for, restrict
from coemogen_core.model.text_encoder import FrozenTextEncoder
from coemogen_core.storage.model_source import fingerprint
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import FrozenModel

FORMAT = 1


class SavedModelConfig(FrozenModel):
    """What is needed to put a trained model on top of its base models again."""

    format: int = Field(default=FORMAT, description="version of this layout")
    emotions: tuple[str, ...] = Field(default=EMOTIONS, description="order of the emotions in every gate and one-hot vector")
    base_models: dict[str, str] = Field(description="fingerprints of the base models that it was trained on")
    conditioner: ConditionerConfig = Field(description="shape of the conditioner")
    visual_width: int = Field(ge=1, description="width of the CLIP image embedding")
    rank: int = Field(ge=1, description="rank of each low-rank pair")
    alpha: float = Field(gt=0, description="LoRA alpha")
    targets: tuple[str, ...] = Field(description="ends of the names of the adapted linears")
    use_emotion_pairs: bool = Field(description="whether emotion pairs were trained")
    use_polarity_pairs: bool = Field(description="whether polarity pairs were trained")
    training: dict[str, Any] = Field(description="the training recipe's identity, the features and the counts of images per emotion")

    @classmethod
    def load(cls, folder: str) -> "SavedModelConfig":
        """Read the description of a model in a folder (any fsspec URI).

        Raises:
            FileNotFoundError: there is no finished model; the message names the folder.
            ValueError: it was written by a later version of this package, or is a baseline's.
        """
        place = Workspace(folder)
        if not place.exists("config.json"):
            raise FileNotFoundError(f"no trained model in {folder} (config.json is missing): train first, or give another folder")
        fields = place.read_json("config.json")
        if fields.get("format") != FORMAT:
            raise ValueError(f"{folder}/config.json has format {fields.get('format')}, this version reads {FORMAT}: update coemogen")
        if "conditioner" not in fields:
            raise ValueError(f"{folder} holds a model of {fields.get('kind', 'another method')}, not of CoEmoGen: name a run train-...")
        return cls.model_validate(fields)

    def compare_base(self, diffusion: str, revision: str | None = None) -> None:
        """Warn when a diffusion model, by folder or hub id, is not the one that this was trained on."""
        found, trained_on = fingerprint(diffusion, revision), self.base_models["diffusion"]
        if found != trained_on:
            warnings.warn(
                f"trained on another diffusion model ({trained_on}) than {diffusion} ({found}): expect other pictures", stacklevel=3
            )

    @property
    def scaling(self) -> float:
        """What every low-rank product is multiplied by."""
        return self.alpha / self.rank

    def gate(self, query: EmotionQuery, intensity: float = 1.0) -> Tensor:
        """Gate [10] of an emotion or a fusion, turned up or down (0 is the base model); pairs that were not trained stay closed."""
        return restrict(gate_for(query), emotions=self.use_emotion_pairs, polarities=self.use_polarity_pairs) * intensity


@dataclass(frozen=True)
class SavedModel:
    """Everything that training made."""

    config: SavedModelConfig
    conditioner: dict[str, Tensor]
    hilora: dict[str, Tensor]
    clusters: EmotionClusters

    def restore_conditioner(self, text_encoder: FrozenTextEncoder) -> Conditioner:
        """The trained conditioner over this text encoder, frozen."""
        conditioner = Conditioner(self.config.conditioner, text_encoder, self.config.visual_width)
        conditioner.load_state_dict(self.conditioner)
        return conditioner.eval().requires_grad_(False)

    def save(self, folder: str) -> None:
        """Write the model into a folder (any fsspec URI)."""
        place = Workspace(folder)
        place.write_file(save(_contiguous(self.conditioner)), "conditioner.safetensors")
        place.write_file(save(_contiguous(self.hilora)), "hilora.safetensors")
        place.write_file(self.clusters.to_bytes(), "clusters.safetensors")
        place.write_file(_card(self.config).encode(), "README.md")
        place.write_json(self.config.model_dump(mode="json"), "config.json")

    @classmethod
    def load(cls, folder: str) -> "SavedModel":
        """Read a model from a folder (any fsspec URI); raises what `SavedModelConfig.load` does."""
        config, place = SavedModelConfig.load(folder), Workspace(folder)
        clusters = EmotionClusters.from_bytes(place.read_file("clusters.safetensors"))
        conditioner, hilora = (load(place.read_file(f"{name}.safetensors")) for name in ("conditioner", "hilora"))
        return cls(config, conditioner, hilora, clusters)


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", torch.float32).contiguous() for name, tensor in tensors.items()}


def _card(config: SavedModelConfig) -> str:
    images, shape = config.training.get("images_per_emotion", {}), config.conditioner
    rows = "\n".join(f"| {emotion} | {count} |" for emotion, count in images.items())
    pairs = [name for name, used in (("emotion", config.use_emotion_pairs), ("polarity", config.use_polarity_pairs)) if used]
    return f"""# CoEmoGen model

Generates images that evoke one of eight emotions: {", ".join(config.emotions)}.

- Base models: {", ".join(f"{name} `{identity}`" for name, identity in config.base_models.items())}
- HiLoRA: rank {config.rank}, alpha {config.alpha:g}, pairs trained: {" and ".join(pairs) or "none"}
- Adapted linears: {", ".join(config.targets)}
- Conditioner: emotion as {shape.emotion_input}, {shape.num_emotion_tokens} pseudo-words, {shape.num_visual_tokens} visual tokens
- Training recipe and data: `config.json`, key `training`

| emotion | training images |
|---|---|
{rows}

Load it with `coemogen_core.generation.pipeline.EmotionPipeline.from_run`.
"""
