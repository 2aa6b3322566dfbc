"""Feature cache: everything of a picture and its caption that training needs, computed once, so that training decodes no image.

One safetensors file per part, `features/<dataset>/<feature_id>/<part>.safetensors`, with n rows and f variants (the picture, and its mirror
image if the recipe says so):

    latent_mean, latent_std  float16 [n, f, 4, h, w]  posterior of the VAE, before the scaling factor
    visual                   float16 [n, f, d]        CLIP image embedding v, unit length
    caption                  float16 [n, p]           pooled, projected CLIP text embedding of the caption, as CLIP gives it
    label                    uint8 [n]                index into EMOTIONS
    image_id                 uint8 [n, 32]            SHA-256 of the picture
"""

import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
import polars as pl
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageOps
from pydantic import Field
from safetensors.torch import save
from torch import Tensor

from coemogen_core.data.decode import decode_image
from coemogen_core.device import resolve_device
from coemogen_core.emotions import EMOTIONS
from coemogen_core.encoders.clip_encoder import ClipEncoder, EncoderRecipe, load_encoder
from coemogen_core.encoders.filled_batches import in_equal_passes
from coemogen_core.model.base_models import BaseModels, load_text_encoder, load_vae
from coemogen_core.model.text_encoder import FrozenTextEncoder
from coemogen_core.recipe import NotIdentifying, Recipe, Unordered, recipe_id
from coemogen_core.storage.location import open_file
from coemogen_core.storage.tensor_files import read_header
from coemogen_core.storage.workspace import Workspace
from schemas.choices import Device
from schemas.outcomes import PartOutcome

FORMAT = 1  # raise when the meaning of a cached tensor changes


class FeatureRecipe(Recipe):
    """How features are made."""

    models: BaseModels = Field(description="autoencoder and CLIP")
    resolution: int = Field(default=512, ge=8, le=4096, description="pictures are scaled and centre-cropped to this many pixels square")
    flip: bool = Field(default=True, description="cache the mirror image as a second variant")
    splits: Annotated[tuple[str, ...] | None, Unordered] = Field(
        default=None, description="use only pictures of these splits, e.g. train; null = all"
    )
    batch_size: Annotated[int, NotIdentifying] = Field(default=16, ge=1, le=512, description="pictures in memory at a time")
    device: Annotated[Device, NotIdentifying] = Field(
        default="auto", description="where it computes; auto takes the GPU where there is one"
    )

    def feature_id(self, version: str) -> str:
        """Recipe id for one version of a dataset."""
        models = {"vae": self.models.vae_identity, "clip": self.models.identity["clip"]}
        return recipe_id("features", {**self.identity, "models": models, "format": FORMAT, "version": version})


def cache_features_part(workspace: Workspace, dataset: str, version: str, source: str, part: str, recipe: FeatureRecipe) -> PartOutcome:
    """Cache the features of one part: the kept rows of `decisions/<dataset>/<version>/<part>`, pictures from `images/<source>/<part>`.

    Raises:
        FileNotFoundError: the decisions or the images of this part do not exist yet.
        ValueError: a kept row has no label or no caption.
    """
    started = time.perf_counter()
    place = ("features", dataset, recipe.feature_id(version), f"{part}.safetensors")
    reused = workspace.exists(*place)
    if not reused:
        decisions = workspace.table("decisions", dataset, version).read_part(part, ["image_id", "kept", "label", "caption"])
        kept = decisions.filter(pl.col("kept"))
        if kept.select(pl.col("label").is_null().any() | pl.col("caption").is_null().any()).item():
            raise ValueError(f"decisions/{dataset}/{version}/{part}: a kept row has no label or no caption; curate the dataset again")
        workspace.write_file(_compute(workspace, source, part, kept, recipe), *place)
    rows = count_rows(workspace.path(*place))
    return PartOutcome(part=part, rows=rows, reused=reused, seconds=time.perf_counter() - started)


def count_rows(uri: str) -> int:
    """Rows of one cached part, from the file's header alone."""
    with open_file(uri) as file:
        return int(read_header(file)["label"]["shape"][0])


@dataclass(frozen=True)
class _Encoders:
    vae: AutoencoderKL
    clip: ClipEncoder
    text: FrozenTextEncoder
    device: torch.device

    def posterior(self, pixels: Tensor) -> Tensor:
        """Mean and standard deviation of the latents, [n, 2, 4, h, w]."""
        found = self.vae.encode(pixels.to(self.device)).latent_dist
        return torch.stack([found.mean, found.std], 1)


@lru_cache(maxsize=1)
def _load_encoders(models: BaseModels, device_name: str) -> _Encoders:
    device = resolve_device(device_name)
    clip = load_encoder(EncoderRecipe(model=models.clip, revision=models.clip_revision, device=device.type))
    return _Encoders(load_vae(models).to(device), clip, load_text_encoder(models).to(device), device)


def _compute(workspace: Workspace, source: str, part: str, kept: pl.DataFrame, recipe: FeatureRecipe) -> bytes:
    encoders = _load_encoders(recipe.models, recipe.device)
    columns: dict[str, list[Tensor]] = {}
    for rows in _read_batches(workspace, source, part, kept, recipe):
        for name, values in _encode_batch(rows, recipe, encoders).items():
            columns.setdefault(name, []).append(values)
    if not columns:
        columns = {name: [values[:0]] for name, values in _encode_batch(_blank_row(), recipe, encoders).items()}
    config = encoders.vae.config
    facts = {
        "format": FORMAT,
        "scaling_factor": float(config.scaling_factor),
        "shift_factor": float(getattr(config, "shift_factor", None) or 0.0),
        "resolution": recipe.resolution,
    }
    tensors = {name: torch.cat(values).contiguous() for name, values in columns.items()}
    return save(tensors, metadata={"coemogen": json.dumps(facts, sort_keys=True)})


def _read_batches(workspace: Workspace, source: str, part: str, kept: pl.DataFrame, recipe: FeatureRecipe) -> Iterator[pl.DataFrame]:
    """Kept pictures with label and caption, a batch at a time, in the order of the image part."""
    images = workspace.table("images", source)
    for rows in images.iter_part(part, ["image_id", "image", "split"], recipe.batch_size):
        if recipe.splits is not None:
            rows = rows.filter(pl.col("split").is_in(recipe.splits))
        joined = rows.join(kept.select("image_id", "label", "caption"), on="image_id", how="inner", maintain_order="left")
        if joined.height:
            yield joined


@torch.inference_mode()
def _encode_batch(rows: pl.DataFrame, recipe: FeatureRecipe, encoders: _Encoders) -> dict[str, Tensor]:
    size, method = (recipe.resolution, recipe.resolution), Image.Resampling.LANCZOS
    pictures = [ImageOps.fit(decode_image(image["bytes"]), size, method=method) for image in rows["image"]]
    variants = [pictures, [ImageOps.mirror(picture) for picture in pictures]] if recipe.flip else [pictures]
    posteriors = torch.stack([in_equal_passes(encoders.posterior, _pixels(variant)) for variant in variants], 1)
    visual = [torch.from_numpy(encoders.clip.encode_images(variant)) for variant in variants]
    digests = np.frombuffer(bytes.fromhex("".join(rows["image_id"])), dtype=np.uint8).reshape(-1, 32)
    return {
        "latent_mean": posteriors[:, :, 0].half().cpu(),
        "latent_std": posteriors[:, :, 1].half().cpu(),
        "visual": torch.stack(visual, 1).half(),
        "caption": encoders.text.encode_prompts(rows["caption"].to_list()).pooled.half().cpu(),
        "label": torch.tensor([EMOTIONS.index(label) for label in rows["label"]], dtype=torch.uint8),
        "image_id": torch.from_numpy(digests.copy()),
    }


def _pixels(pictures: list[Image.Image]) -> Tensor:
    """float32 [n, 3, h, w] in [-1, 1], what the VAE takes."""
    values = np.stack([np.asarray(picture) for picture in pictures])
    return torch.from_numpy(values).permute(0, 3, 1, 2).float() / 127.5 - 1


def _blank_row() -> pl.DataFrame:
    """One made-up row: its features tell the shapes of an empty part."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    image = {"bytes": buffer.getvalue(), "path": ""}
    return pl.DataFrame({"image_id": ["0" * 64], "image": [image], "label": [EMOTIONS[0]], "caption": [""]})
