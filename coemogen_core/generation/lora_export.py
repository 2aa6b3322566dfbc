"""Export of an emotion, or of a fusion, to diffusers, ComfyUI and A1111: a LoRA in both their spellings, an embedding, a card.

The embedding is the conditioner's pseudo-words for the middle of the emotion's cluster as a textual inversion: with it as the prompt,
other tools give the U-Net the very sequence that this package gives it for that visual embedding.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import Field, field_validator
from torch import Tensor

from coemogen_core.emotions import EMOTIONS
from coemogen_core.generation.lora_metadata import Origin, embedding_metadata, export_card, lora_metadata
from coemogen_core.model.base_models import BaseModels, load_noise_scheduler, load_text_encoder, native_resolution
from coemogen_core.model.gates import PAIRS, EmotionQuery, emotion_weights
from coemogen_core.model.hilora import collapse, in_kohyas_names, in_pipelines_names
from coemogen_core.model.saved_model import SavedModel
from coemogen_core.model.text_encoder import FrozenTextEncoder
from coemogen_core.storage.model_source import locate
from coemogen_core.storage.tensor_files import safetensors_bytes, tensors_hash
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import FrozenModel

DIFFUSERS_FILE = "pytorch_lora_weights.safetensors"
CARD = "README.md"
NAME = r"^[a-z0-9][a-z0-9_-]*$"


class ExportRecipe(FrozenModel):
    """What to export."""

    weights: dict[str, float] = Field(min_length=1, description="one emotion, or several with weights, e.g. awe 0.6 and fear 0.4")
    intensity: float = Field(default=1.0, gt=0, le=10, description="factor on the gates; above 1 exaggerates")
    name: str | None = Field(default=None, pattern=NAME, description="of folder and files; none = made of the emotions, e.g. coemogen-awe")
    licence: str | None = Field(default=None, min_length=1, description="licence of the export; none = not stated")

    @field_validator("weights")
    @classmethod
    def _weights_are_possible(cls, weights: dict[str, float]) -> dict[str, float]:
        emotion_weights(weights)
        return weights

    @property
    def export_name(self) -> str:
        """The name given, or e.g. `coemogen-awe`, `coemogen-awe60-fear40`, `coemogen-awe-x150` for intensity 1.5."""
        if self.name is not None:
            return self.name
        shares = _named(emotion_weights(self.weights))
        emotions = [emotion if len(shares) == 1 else f"{emotion}{round(100 * share)}" for emotion, share in shares.items()]
        return "-".join(["coemogen", *emotions, *([] if self.intensity == 1 else [f"x{round(100 * self.intensity)}"])])


@dataclass(frozen=True)
class ExportedLora:
    """What an export wrote."""

    folder: str
    name: str
    rank: int
    files: tuple[str, ...]  # names within the folder, the card last


class LoraExporter:
    """A trained model, opened once for any number of exports."""

    def __init__(self, folder: str, models: BaseModels) -> None:
        """Open the model in `runs/<run_id>/model` (any fsspec URI) beside its base models; warns when they are not those of its training.

        Raises:
            FileNotFoundError: no finished model in the folder.
        """
        self.model = SavedModel.load(folder)
        self.model.config.compare_base(models.diffusion, models.diffusion_revision)
        self._run_id = re.sub(r"/model/?$", "", folder).rstrip("/").rsplit("/", 1)[-1]
        self._digest = hashlib.sha256(Workspace(folder).read_file("hilora.safetensors")).hexdigest()
        self._text_encoder = load_text_encoder(models, with_projection=False)
        base = Path(locate(models.diffusion)).expanduser()
        self._base = base.name if base.is_dir() else models.diffusion
        self._resolution = native_resolution(models)
        self._prediction_type = str(load_noise_scheduler(models).config.prediction_type)

    @property
    def emotions(self) -> list[str]:
        """The emotions that the model was trained on, in order."""
        return [emotion for emotion in EMOTIONS if emotion in self.model.clusters.means]

    def export(self, recipe: ExportRecipe, destination: str) -> ExportedLora:
        """Write `<destination>/<name>/` with its LoRA twice, its embedding, and last its card: a folder without one is not finished.

        The same model and recipe give the same bytes.

        Args:
            recipe: what to export.
            destination: folder or URI.

        Raises:
            ValueError: an unknown emotion, or one that the training corpus lacked.
        """
        origin = self._origin(recipe)
        gate = self.model.config.gate(recipe.weights, recipe.intensity)
        lora = {name: tensor.contiguous() for name, tensor in collapse(self.model.hilora, gate, self.model.config.scaling).items()}
        rank = next(iter(lora.values())).shape[0]
        words = pseudo_words(self.model, self._text_encoder, recipe.weights)
        files = {
            DIFFUSERS_FILE: _lora_file(in_pipelines_names(lora), origin, rank),
            f"{origin.name}-lora.safetensors": _lora_file(in_kohyas_names(lora), origin, rank),
            f"{origin.name}.safetensors": _embedding_file(words, origin),
        }
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        files[CARD] = export_card(origin, rank, len(words), digests).encode()
        place = Workspace(f"{destination.rstrip('/')}/{origin.name}")
        place.remove_file(CARD)  # from here on the folder is no finished export
        for name, data in files.items():
            place.write_file(data, name)
        return ExportedLora(place.uri, origin.name, rank, tuple(files))

    def _origin(self, recipe: ExportRecipe) -> Origin:
        gate = self.model.config.gate(recipe.weights, recipe.intensity).tolist()
        return Origin(
            name=recipe.export_name,
            weights=_named(emotion_weights(recipe.weights)),
            intensity=recipe.intensity,
            gate={pair: _readable(weight) for pair, weight in zip(PAIRS, gate, strict=True) if weight},
            run_id=self._run_id,
            hilora_sha256=self._digest,
            base=self._base,
            resolution=self._resolution,
            prediction_type=self._prediction_type,
            width=self._text_encoder.width,
            licence=recipe.licence,
            config=self.model.config,
        )


@torch.no_grad()
def pseudo_words(model: SavedModel, text_encoder: FrozenTextEncoder, query: EmotionQuery) -> Tensor:
    """The pseudo-words [num_emotion_tokens, width] of an emotion or a fusion at the middle of its cluster, in word embeddings' scale.

    Raises:
        ValueError: an emotion without a cluster.
    """
    conditioner = model.restore_conditioner(text_encoder)
    return conditioner.pseudo_words(emotion_weights(query)[None], model.clusters.mean(query)[None])[0]


def _lora_file(tensors: dict[str, Tensor], origin: Origin, rank: int) -> bytes:
    return safetensors_bytes(tensors, lora_metadata(origin, rank, tensors_hash(tensors)))


def _embedding_file(words: Tensor, origin: Origin) -> bytes:
    """One tensor under its token's name: diffusers takes the token from it, A1111 and ComfyUI take the file's name."""
    tensors = {f"<{origin.name}>": words.contiguous()}
    return safetensors_bytes(tensors, embedding_metadata(origin, tensors_hash(tensors)))


def _named(weights: Tensor) -> dict[str, float]:
    return {emotion: _readable(weight) for emotion, weight in zip(EMOTIONS, weights.tolist(), strict=True) if weight}


def _readable(weight: float) -> float:
    """Seven digits, what float32 holds: 0.6 rather than 0.6000000238418579."""
    return float(f"{weight:.7g}")
