"""An emotion pipeline as a folder: `model/` (what training made), `base/` unless left out, a card, and last `pipeline.json`.

All weights are safetensors. The folder is filled under another name and renamed when it is complete.
"""

import shutil
import uuid
from contextlib import AbstractContextManager
from pathlib import Path

from diffusers import StableDiffusionPipeline
from pydantic import Field

from coemogen_core.model.saved_model import SavedModel, SavedModelConfig
from coemogen_core.storage.model_source import fingerprint
from schemas.frozen_model import FrozenModel

FORMAT = 1
RECORD = "pipeline.json"


class PipelineRecord(FrozenModel):
    """`pipeline.json`: where the base model is, and which one it must be."""

    format: int = Field(default=FORMAT, description="version of this layout")
    base: str | None = Field(default=None, description="folder or hub id of the base model; none = in the folder base/ beside this file")
    revision: str | None = Field(default=None, description="commit of a hub model")
    fingerprint: str = Field(description="of the base model")


def save_folder(
    folder: Path, model: SavedModel, base: StableDiffusionPipeline, plain_unet: AbstractContextManager[None], record: PipelineRecord | None
) -> None:
    """Write the folder.

    Args:
        folder: must not exist, or be empty.
        model: what training made.
        base: the base pipeline.
        plain_unet: within it, the base's U-Net is as it was before HiLoRA was injected.
        record: names a base model that stays where it is; None puts a copy of `base` into the folder.

    Raises:
        FileExistsError: the folder holds something.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: give another folder, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.parent / f".{folder.name}.{uuid.uuid4().hex}.tmp"
    try:
        model.save(str(partial / "model"))
        if record is None:
            with plain_unet:
                base.save_pretrained(partial / "base", safe_serialization=True)
            record = PipelineRecord(fingerprint=fingerprint(str(partial / "base")))
        (partial / "README.md").write_text(_card(model.config, record))
        (partial / RECORD).write_text(record.model_dump_json(indent=2) + "\n")
        partial.replace(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def note_base(base: StableDiffusionPipeline, config: SavedModelConfig) -> PipelineRecord:
    """A record of a base model that stays where it is.

    Raises:
        ValueError: it was made in memory.
    """
    place = base.name_or_path
    if not place:
        raise ValueError("the base model was made in memory and has no path: save with include_base=True")
    if Path(place).is_dir():
        place = str(Path(place).resolve())
    trained_on, _, commit = config.base_models["diffusion"].partition("@")
    revision = commit if trained_on == place else None  # a hub id: the pipeline itself does not know its commit
    return PipelineRecord(base=place, revision=revision, fingerprint=fingerprint(place, revision))


def find_base(folder: Path) -> tuple[str, str | None]:
    """The base model that the pipeline in this folder stands on: path or hub id, and commit where one is known.

    Raises:
        FileNotFoundError: there is no pipeline in the folder, or its base model is not where it was.
        ValueError: written by a later version, or the base model in the folder is not the one that was saved.
    """
    if not (folder / RECORD).is_file():
        raise FileNotFoundError(f"no pipeline in {folder} ({RECORD} is missing): give the folder of EmotionPipeline.save_pretrained")
    record = PipelineRecord.model_validate_json((folder / RECORD).read_text())
    if record.format != FORMAT:
        raise ValueError(f"{folder / RECORD} has format {record.format}, this version reads {FORMAT}: update coemogen")
    if record.base is not None:
        return record.base, record.revision
    inside = folder / "base"
    found = fingerprint(str(inside.resolve()))
    if found != record.fingerprint:
        raise ValueError(f"{inside} is not the base model that was saved ({found} instead of {record.fingerprint}): copy the folder again")
    return str(inside), record.revision


def _card(config: SavedModelConfig, record: PipelineRecord) -> str:
    where = "in `base/`" if record.base is None else f"not in this folder: `{record.base}`"
    images = ", ".join(f"{emotion} {count}" for emotion, count in config.training.get("images_per_emotion", {}).items())
    return f"""# CoEmoGen pipeline

Draws pictures that evoke an emotion: {", ".join(config.emotions)}.

```python
from coemogen_core.generation.pipeline import EmotionPipeline

pipe = EmotionPipeline.from_pretrained(FOLDER)  # this one
pipe("awe", num_images=4, seed=0)
pipe({{"awe": 0.6, "fear": 0.4}})
```

- Base model (Stable Diffusion 1.x): {where}, fingerprint `{record.fingerprint}`; trained on `{config.base_models["diffusion"]}`
- Trained on `{config.training.get("dataset", "unknown")}`, pictures: {images or "not counted"}
- What training made: `model/`, with a card of its own; every weight is a safetensors file
- Licence: those of the base model and of the training pictures apply
"""
