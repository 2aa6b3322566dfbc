"""What a generated PNG says of itself, in a text chunk: enough to make it again, and nothing of the machine it was made on."""

import io
import json
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coemogen_core.device import library_versions
from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.storage.model_source import fingerprint
from coemogen_core.storage.tensor_files import tensors_hash

FORMAT = 1
CHUNK = "coemogen"  # keyword of the iTXt chunk


class ModelIdentity(BaseModel):
    """Which model drew a picture, wherever it lies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(description="fingerprint of the diffusion model")
    weights: str = Field(description="SHA-256 over HiLoRA, conditioner and emotion clusters, the first 16 hex digits")


class PictureRecord(BaseModel):
    """Everything that decides what a picture became."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(default=FORMAT, description="version of this record")
    emotion: dict[str, float] = Field(min_length=1, description="weights of the emotions, as they were asked for")
    seed: int = Field(description="of this picture")
    recipe: GenerationRecipe = Field(description="denoising settings; batch size and device are left out")
    model: ModelIdentity = Field(description="base model and trained weights")
    versions: dict[str, str] = Field(description="Python and libraries; others may round differently")

    def to_json(self) -> str:
        """One line, the same for the same record."""
        return json.dumps({**self.model_dump(mode="json"), "recipe": self.recipe.identity}, sort_keys=True, ensure_ascii=False)


def identify(pipeline: EmotionPipeline) -> ModelIdentity:
    """Identity of the model in a pipeline; a base made in memory is named by what the weights were trained on."""
    place = pipeline.base.name_or_path
    base = fingerprint(place) if place and Path(place).is_dir() else pipeline.trained.base_models["diffusion"]
    conditioner = {f"conditioner.{name}": tensor.float().contiguous() for name, tensor in pipeline.conditioner.state_dict().items()}
    clusters = {f"mean.{name}": mean for name, mean in pipeline.clusters.means.items()}
    clusters |= {f"spread.{name}": spread for name, spread in pipeline.clusters.spreads.items()}
    weights = tensors_hash({**pipeline.hilora.state_dict(), **conditioner, **clusters})
    return ModelIdentity(base=base, weights=weights[:16])


def new_record(emotion: dict[str, float], seed: int, recipe: GenerationRecipe, model: ModelIdentity) -> PictureRecord:
    """The record of a picture that is made here and now."""
    return PictureRecord(emotion=emotion, seed=seed, recipe=recipe, model=model, versions=_versions())


def png_with_record(picture: Image.Image, record: PictureRecord) -> bytes:
    """The picture as a PNG that carries its record; the same picture and record give the same bytes."""
    about, buffer = PngInfo(), io.BytesIO()
    about.add_itxt(CHUNK, record.to_json())
    picture.convert("RGB").save(buffer, "PNG", pnginfo=about)
    return buffer.getvalue()


def record_of(file: Path) -> PictureRecord:
    """The record of a PNG.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no picture, carries no record, or one of a later version.
    """
    try:
        with Image.open(file) as picture:
            text = getattr(picture, "text", {}).get(CHUNK)
    except UnidentifiedImageError:
        raise ValueError(f"{file} is no picture") from None
    if text is None:
        raise ValueError(f"{file} carries no coemogen record: it was not made by `coemogen generate`, or a program removed its texts")
    try:
        return PictureRecord.model_validate_json(str(text))
    except ValidationError as error:
        raise ValueError(
            f"{file} carries a record that this version cannot read ({error.error_count()} problems): update coemogen"
        ) from None


def _versions() -> dict[str, str]:
    drawing = ("python", "coemogen", "torch", "diffusers", "transformers", "numpy")
    return {name: number for name, number in library_versions().items() if name in drawing}
