"""Training recipes: everything that decides what a trained model becomes, as data. Those with a name are files in `recipe_files/`."""

import tomllib
from importlib.resources import files
from typing import Annotated

from pydantic import Field

from coemogen_core.model.clusters import Covariance
from coemogen_core.model.conditioner import ConditionerConfig, SemanticLoss
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.model.hilora import ATTENTION_TARGETS
from coemogen_core.recipe import NotIdentifying
from coemogen_core.training.optimisation import OptimisationRecipe

RECIPE_FOLDER = files("coemogen_core.training") / "recipe_files"


class TrainingRecipe(OptimisationRecipe):
    """How HiLoRA and the conditioner are trained (paper, section on the implementation)."""

    conditioner: ConditionerConfig = Field(default=ConditionerConfig(), description="shape of mapper and visual-perception encoder")
    rank: int = Field(default=4, ge=1, le=256, description="rank of each of the ten low-rank pairs")
    alpha: float | None = Field(default=None, gt=0, description="LoRA alpha; null takes alpha = rank (scale 1)")
    targets: tuple[str, ...] = Field(default=ATTENTION_TARGETS, min_length=1, description="ends of the names of the adapted linears")
    use_emotion_pairs: bool = Field(default=True, description="off: the ablation without emotion-specific LoRAs")
    use_polarity_pairs: bool = Field(default=True, description="off: the ablation without polarity-shared LoRAs")
    semantic_weight: float = Field(default=1.0, ge=0, description="weight of L_SEM; 0 is the ablation without it")
    semantic_loss: SemanticLoss = Field(default="cosine", description="form of L_SEM")
    covariance: Covariance = Field(default="diagonal", description="of the emotion clusters")
    from_run: str | None = Field(
        default=None,
        pattern=r"^[\w.-]+$",
        description="finished training of this workspace, train-..., that this one starts from (fine-tuning); null = from the base models",
    )

    sample_every: Annotated[int, NotIdentifying] = Field(default=0, ge=0, description="steps between sheets of sample pictures, 0 = none")
    samples_per_emotion: Annotated[int, NotIdentifying] = Field(default=4, ge=1, le=32, description="pictures per emotion on a sheet")
    sampling: Annotated[GenerationRecipe, NotIdentifying] = Field(
        default=GenerationRecipe(), description="how sample pictures are denoised"
    )


def _load(name: str) -> TrainingRecipe:
    return TrainingRecipe.model_validate(tomllib.loads((RECIPE_FOLDER / f"{name}.toml").read_text(encoding="utf-8")))


RECIPES: dict[str, TrainingRecipe] = {
    name: _load(name) for name in sorted(file.name.removesuffix(".toml") for file in RECIPE_FOLDER.iterdir() if file.name.endswith(".toml"))
}
"""`paper`: SD 1.5 as published, 130,000 samples one by one. `paper-batched`: the same, `for_batch(32)`. `lab`: the small world."""
