"""The lab: a small drawn world with small trained models, in which the method can be run and measured on a laptop in minutes."""

from pathlib import Path
from typing import Literal

LabModel = Literal["clip", "diffusion", "captioner", "emotion_judge", "content_judge"]


def models_folder(name: LabModel) -> Path:
    """Folder of one of the lab's trained models, as shipped with the package."""
    return Path(__file__).parent / "models" / name
