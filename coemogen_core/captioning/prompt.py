"""Caption prompts: versioned files in `prompts/`, named `<name>.v<version>`; a published file is never edited, a new version is added.

The production prompt gives the emotion as a prior, names EmoSet's six attribute kinds and asks for one sentence (paper,
section on the training corpus). The four combinations of its ablation are `prior-short`, `plain-short`, `prior-long` and `plain-long`.
"""

import tomllib
from functools import cache
from importlib.resources import files

from pydantic import Field, model_validator

from coemogen_core.emotions import Emotion
from schemas.frozen_model import FrozenModel

PROMPT_FOLDER = files("coemogen_core.captioning") / "prompts"


class Prompt(FrozenModel):
    """One version of one prompt: fixed text first and the emotion last, so that a server can reuse the common beginning."""

    prompt_id: str = Field(pattern=r"^[a-z0-9-]+\.v[0-9]+$", description="name and version, e.g. prior-short.v1")
    instruction: str = Field(min_length=1, description="the fixed text, the same for every picture")
    prior: str | None = Field(default=None, description="the sentence that gives the emotion, with {emotion} in it; none in a plain prompt")
    max_sentences: int = Field(default=1, ge=1, description="an answer with more sentences is refused")

    @model_validator(mode="after")
    def _prior_names_the_emotion(self) -> "Prompt":
        if self.prior is not None and "{emotion}" not in self.prior:
            raise ValueError(f"prompt {self.prompt_id}: `prior` must contain {{emotion}}")
        return self

    def parts(self, emotion: Emotion | None) -> tuple[str, str]:
        """The fixed instruction, and the prior with the emotion in it (empty in a plain prompt).

        Raises:
            ValueError: the prompt needs an emotion and got none.
        """
        if self.prior is None:
            return self.instruction, ""
        if emotion is None:
            raise ValueError(f"prompt {self.prompt_id} gives the emotion as a prior, but the picture has none: use a plain prompt")
        return self.instruction, self.prior.format(emotion=emotion)

    def render(self, emotion: Emotion | None) -> str:
        """The whole text of the request: the instruction, then the prior. A plain prompt leaves the emotion out.

        Raises:
            ValueError: the prompt needs an emotion and got none.
        """
        return " ".join(part for part in self.parts(emotion) if part)


def prompt_ids() -> list[str]:
    """Ids of all prompts that come with the package, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in PROMPT_FOLDER.iterdir() if file.name.endswith(".toml"))


@cache
def load_prompt(prompt_id: str) -> Prompt:
    """Read the prompt file of this id. Raises ValueError when there is no such prompt; the message lists those that exist."""
    known = prompt_ids()
    if prompt_id not in known:
        raise ValueError(f"unknown prompt {prompt_id!r}; expected one of: {', '.join(known)} (files in coemogen_core/captioning/prompts)")
    text = (PROMPT_FOLDER / f"{prompt_id}.toml").read_text(encoding="utf-8")
    return Prompt(prompt_id=prompt_id, **tomllib.loads(text))
