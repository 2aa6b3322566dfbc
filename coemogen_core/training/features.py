"""Feature cache: everything of a picture and its caption that training needs, computed once, so that training decodes no image.

One safetensors file per part, `features/<dataset>/<feature_id>/<part>.safetensors`, with n rows and f variants (the picture, and its mirror
image if the recipe says so):

    latent_mean, latent_std  float16 [n, f, 4, h, w]  posterior of the VAE, before the scaling factor
    visual                   float16 [n, f, d]        CLIP image embedding v, unit length
    caption                  float16 [n, p]           pooled, projected CLIP text embedding of the caption, as CLIP gives it
    label                    uint8 [n]                index into EMOTIONS
    image_id, caption_id     uint8 [n, 32]            SHA-256 of the picture, and of the caption

A picture whose features stand already, made by the same models for whatever part and version, is not encoded again, only its caption where
that is another one.
"""

import hashlib
import io
import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any
from urllib.parse import quote

import numpy as np
import polars as pl
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageOps
from pydantic import Field
from torch import Tensor

from coemogen_core.data.decode import decode_image
from coemogen_core.data.splits import RULE_VERSION, with_splits
from coemogen_core.device import Slot, resolve_device
from coemogen_core.emotions import EMOTIONS
from coemogen_core.encoders.clip_encoder import ClipEncoder, EncoderRecipe, load_encoder
from coemogen_core.encoders.filled_batches import in_equal_passes
from coemogen_core.model.base_models import BaseModels, load_text_encoder, load_vae
from coemogen_core.model.text_encoder import FrozenTextEncoder
from coemogen_core.recipe import NotIdentifying, Recipe, Unordered, recipe_id
from coemogen_core.storage.location import open_file
from coemogen_core.storage.reading import has_file
from coemogen_core.storage.row_digest import rows_digest
from coemogen_core.storage.tensor_files import read_header, safetensors_bytes
from coemogen_core.storage.workspace import Table, Workspace
from coemogen_core.training.standing_features import find_features, sets_of
from schemas.choices import Device
from schemas.outcomes import PartOutcome

FORMAT = 2  # raise when the meaning of a cached tensor changes
ENCODED = ("latent_mean", "latent_std", "visual", "caption")


class FeatureRecipe(Recipe):
    """How features are made."""

    models: BaseModels = Field(description="autoencoder and CLIP")
    resolution: int = Field(default=512, ge=8, le=4096, description="pictures are scaled and centre-cropped to this many pixels square")
    flip: bool = Field(default=True, description="cache the mirror image as a second variant")
    splits: Annotated[tuple[str, ...] | None, Unordered] = Field(
        default=None, description="use only pictures of these splits, e.g. train; null = all; see `data.splits` for pictures without one"
    )
    batch_size: Annotated[int, NotIdentifying] = Field(default=16, ge=1, le=512, description="pictures in memory at a time")
    device: Annotated[Device, NotIdentifying] = Field(
        default="auto", description="where it computes; auto takes the GPU where there is one"
    )

    @property
    def picture_id(self) -> str:
        """Recipe id of what makes the features of a picture, whichever pictures are chosen."""
        models = {"vae": self.models.vae_identity, "clip": self.models.identity["clip"]}
        return recipe_id("features", {**self.identity, "splits": None, "models": models, "format": FORMAT})

    def feature_id(self, version: str) -> str:
        """Names the features of one version of a dataset: `<picture id>.<version>.<splits>`."""
        if self.splits is None:
            return f"{self.picture_id}.{version}.all"
        names = sorted({quote(split, safe="").replace(".", "%2E") for split in self.splits}) or ["none"]
        return f"{self.picture_id}.{version}.{'+'.join(names)}-{RULE_VERSION}"


def cache_features_part(
    workspace: Workspace, dataset: str, version: str, source: str, part: str, recipe: FeatureRecipe, *, slot: Slot = nullcontext
) -> PartOutcome:
    """Cache the features of one part: the kept rows of `decisions/<dataset>/<version>/<part>`, pictures from `images/<source>/<part>`.

    Raises:
        FileNotFoundError: the decisions or the images of this part do not exist yet.
        ValueError: a kept row has no label or no caption.
    """
    started = time.perf_counter()
    place = ("features", dataset, recipe.feature_id(version), f"{part}.safetensors")
    reused = has_file(workspace.path(*place))
    if reused:
        rows = count_rows(workspace.path(*place))
    else:
        decisions = workspace.table("decisions", dataset, version).read_part(part, ["image_id", "kept", "label", "caption"])
        kept = decisions.filter(pl.col("kept"))
        if kept.select(pl.col("label").is_null().any() | pl.col("caption").is_null().any()).item():
            raise ValueError(f"decisions/{dataset}/{version}/{part}: a kept row has no label or no caption; curate the dataset again")
        chosen = _chosen(workspace, source, part, kept, recipe)
        rows = chosen.height
        workspace.write_file(_standing_and_new(workspace, source, part, chosen, recipe, slot, place[2]), *place)
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


def _standing_and_new(
    workspace: Workspace, source: str, part: str, chosen: pl.DataFrame, recipe: FeatureRecipe, slot: Slot, feature_id: str
) -> bytes:
    """The file of a part, in the order of its pictures: features that stand elsewhere, and those that are made now."""
    sets = sets_of(workspace, recipe.picture_id, feature_id)
    found = find_features(workspace, source, part, chosen["image_id"], sets)
    known = pl.DataFrame(schema={"image_id": pl.String, "caption_id": pl.String}) if found is None else found.rows
    new = chosen.join(known, on="image_id", how="anti", maintain_order="left")
    retold = chosen.join(known, on="image_id", maintain_order="left").filter(pl.col("caption_id") != pl.col("caption_id_right"))
    features = _Features() if found is None else _Features(dict(found.facts()))
    for rows, tensors in () if found is None else found.tensors():
        features.add(rows["image_id"], tensors)
    if found is None or new.height or retold.height:
        with slot():
            encoders = _load_encoders(recipe.models, recipe.device)
            features.facts = features.facts or _facts(encoders, recipe)
            for batch in _with_pictures(workspace.table("images", source), part, new, recipe.batch_size):
                features.add(batch["image_id"], _encode_batch(batch, recipe, encoders))
            if not features.ids:
                features.add(pl.Series([], dtype=pl.String), {k: v[:0] for k, v in _encode_batch(_blank_row(), recipe, encoders).items()})
            for batch in retold.iter_slices(recipe.batch_size):
                features.retell(batch["image_id"], _encode_captions(batch["caption"], encoders))
    return features.as_file(chosen)


@dataclass
class _Features:
    """Rows of a part as they are collected, in any order."""

    facts: dict[str, Any] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    _pieces: list[dict[str, Tensor]] = field(default_factory=list)
    _captions: dict[str, Tensor] = field(default_factory=dict)

    def add(self, image_ids: pl.Series, tensors: dict[str, Tensor]) -> None:
        self.ids += image_ids.to_list()
        self._pieces.append(tensors)

    def retell(self, image_ids: pl.Series, captions: Tensor) -> None:
        """Other captions than those that stood there."""
        self._captions |= dict(zip(image_ids, captions, strict=True))

    def as_file(self, chosen: pl.DataFrame) -> bytes:
        """The chosen rows in their order, with the labels and captions that were decided for them."""
        place = {image_id: row for row, image_id in enumerate(self.ids)}
        order = torch.tensor([place[image_id] for image_id in chosen["image_id"]], dtype=torch.long)
        tensors = {name: torch.cat([piece[name] for piece in self._pieces])[order] for name in ENCODED}
        for row, image_id in enumerate(chosen["image_id"]):
            if image_id in self._captions:
                tensors["caption"][row] = self._captions[image_id]
        tensors["label"] = torch.tensor([EMOTIONS.index(label) for label in chosen["label"]], dtype=torch.uint8)
        tensors |= {name: _digests(chosen[name]) for name in ("image_id", "caption_id")}
        facts = self.facts | {"rows": rows_digest(chosen.select("image_id", "label", "caption_id"))}
        return safetensors_bytes(tensors, {"coemogen": json.dumps(facts, sort_keys=True)})


def _facts(encoders: _Encoders, recipe: FeatureRecipe) -> dict[str, Any]:
    """What a reader must know of the tensors."""
    config = encoders.vae.config
    return {
        "format": FORMAT,
        "picture_id": recipe.picture_id,
        "scaling_factor": float(config.scaling_factor),
        "shift_factor": float(getattr(config, "shift_factor", None) or 0.0),
        "resolution": recipe.resolution,
    }


def _chosen(workspace: Workspace, source: str, part: str, kept: pl.DataFrame, recipe: FeatureRecipe) -> pl.DataFrame:
    """`image_id`, `label`, `caption` and `caption_id` of the kept pictures of the wanted splits, in the order of the image part."""
    rows = with_splits(workspace.table("images", source).read_part(part, ["image_id", "split", "artist"]))
    if recipe.splits is not None:
        rows = rows.filter(pl.col("split").is_in(recipe.splits))
    wanted = kept.select("image_id", "label", "caption")
    chosen = rows.select("image_id").join(wanted, on="image_id", how="inner", maintain_order="left")
    captions = [hashlib.sha256(caption.encode()).hexdigest() for caption in chosen["caption"]]
    return chosen.with_columns(caption_id=pl.Series(captions, dtype=pl.String))


def _with_pictures(images: Table, part: str, rows: pl.DataFrame, batch_size: int) -> Iterator[pl.DataFrame]:
    """The rows, a batch at a time, with their encoded `picture`."""
    pictures = images.iter_pictures(part, set(rows["image_id"]))
    while batch := list(islice(pictures, batch_size)):
        loaded = pl.DataFrame(batch, schema={"image_id": pl.String, "picture": pl.Binary}, orient="row")
        yield loaded.join(rows, on="image_id", maintain_order="left")


@torch.inference_mode()
def _encode_batch(rows: pl.DataFrame, recipe: FeatureRecipe, encoders: _Encoders) -> dict[str, Tensor]:
    size, method = (recipe.resolution, recipe.resolution), Image.Resampling.LANCZOS
    pictures = [ImageOps.fit(decode_image(picture), size, method=method) for picture in rows["picture"]]
    variants = [pictures, [ImageOps.mirror(picture) for picture in pictures]] if recipe.flip else [pictures]
    posteriors = torch.stack([in_equal_passes(encoders.posterior, _pixels(variant)) for variant in variants], 1)
    visual = [torch.from_numpy(encoders.clip.encode_images(variant)) for variant in variants]
    return {
        "latent_mean": posteriors[:, :, 0].half().cpu(),
        "latent_std": posteriors[:, :, 1].half().cpu(),
        "visual": torch.stack(visual, 1).half(),
        "caption": _encode_captions(rows["caption"], encoders),
    }


@torch.inference_mode()
def _encode_captions(captions: pl.Series, encoders: _Encoders) -> Tensor:
    return encoders.text.encode_prompts(captions.to_list()).pooled.half().cpu()


def _digests(ids: pl.Series) -> Tensor:
    """uint8 [n, 32]."""
    return torch.from_numpy(np.frombuffer(bytes.fromhex("".join(ids)), dtype=np.uint8).reshape(-1, 32).copy())


def _pixels(pictures: list[Image.Image]) -> Tensor:
    """float32 [n, 3, h, w] in [-1, 1], what the VAE takes."""
    values = np.stack([np.asarray(picture) for picture in pictures])
    return torch.from_numpy(values).permute(0, 3, 1, 2).float() / 127.5 - 1


def _blank_row() -> pl.DataFrame:
    """One made-up row: its features tell the shapes of an empty part."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return pl.DataFrame({"picture": [buffer.getvalue()], "caption": [""]})
