"""What decides a caption (the recipe) and what only decides how it is obtained (the backend's settings)."""

from contextlib import suppress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from coemogen_core.captioning.prompt import SENTENCE, answer_schema, form_instruction, load_prompt
from coemogen_core.captioning.server.own_server_settings import OwnServerSettings
from coemogen_core.recipe import IdentifiedOtherwise, Recipe, recipe_id
from coemogen_core.storage.model_source import ModelName, fingerprint, names_a_folder
from schemas.choices import Device, Precision
from schemas.frozen_model import FrozenModel, each_once
from schemas.server_url import VARIABLE_NAME, ServerUrl

BackendName = Literal["local", "server"]


class CaptionRecipe(Recipe):
    """Everything that could change a caption. Batch size, endpoint and concurrency are no part of it."""

    model: Annotated[ModelName, IdentifiedOtherwise] = Field(
        min_length=1, description="local: folder of a saved model or a hub id; server: the name under which it serves the model"
    )
    revision: Annotated[str | None, IdentifiedOtherwise] = Field(
        default=None, description="commit of the model; for a server, as the operator of the server states it"
    )
    prompt_id: str = Field(default="prior-short.v1", description="name and version of a file in coemogen_core/captioning/prompts")
    answer: str = Field(
        default=SENTENCE, description="sentence, or a file in coemogen_core/captioning/answer_forms: structured.v1 asks for JSON"
    )
    image_first: bool = Field(
        default=True,
        description="picture before the whole text, as most models were trained; off: between the fixed text and the emotion, so that a "
        "server's prefix cache can reuse the fixed text",
    )
    max_new_tokens: int = Field(default=64, ge=1, le=4096, description="longest answer in tokens")
    temperature: float = Field(default=0.0, ge=0.0, le=2.0, description="0 is greedy: the likeliest word each time")
    seed: int = Field(default=0, ge=0, lt=2**31, description="seed of the sampling; without effect at temperature 0")
    max_pixels: int = Field(
        default=768 * 768, ge=28 * 28, description="larger pictures are reduced to this area before the model sees them"
    )
    precision: Precision = Field(default="float32", description="number format of the model's weights (local)")

    @field_validator("prompt_id")
    @classmethod
    def _prompt_exists(cls, prompt_id: str) -> str:
        load_prompt(prompt_id)
        return prompt_id

    @field_validator("answer")
    @classmethod
    def _form_exists(cls, answer: str) -> str:
        form_instruction(answer)
        return answer

    @property
    def deterministic(self) -> bool:
        """Whether the same request gets the same answer again."""
        return self.temperature == 0.0

    def model_identity(self, backend: BackendName) -> str:
        """What the `model` column says: a fingerprint of the weights (local, or served from a folder of this machine), else
        `<served name>@<revision>`."""
        if backend == "local":
            return fingerprint(self.model, self.revision)
        if names_a_folder(self.model):
            with suppress(FileNotFoundError):  # it is a folder of the server's machine
                return fingerprint(self.model, self.revision)
        return f"{self.model}@{self.revision or 'as served'}"

    def recipe_id(self, backend: BackendName) -> str:
        """Recipe id of the captions that this recipe makes with a backend. Left out: the seed of a greedy recipe, a server's precision.

        Raises:
            FileNotFoundError: the local model's folder does not exist.
        """
        prompt = load_prompt(self.prompt_id).model_dump(mode="json")
        form = {"text": form_instruction(self.answer), "schema": None if self.answer == SENTENCE else answer_schema()}
        model = self.model_identity(backend)
        without = {"seed"} if self.deterministic else set()
        without |= {"precision"} if backend == "server" else set()
        fields = {name: value for name, value in self.identity.items() if name not in without}
        return recipe_id("caption", {**fields, "prompt": prompt, "form": form, "model": model, "backend": backend})


class _Settings(FrozenModel):
    max_attempts: int = Field(default=5, ge=1, description="a picture that failed so often is left alone; one attempt a run")


class LocalSettings(_Settings):
    """The captioner runs in this process (transformers)."""

    backend: Literal["local"] = "local"
    batch_size: int = Field(default=50, ge=1, description="pictures per forward pass; less when a large model runs out of memory")
    device: Device = Field(default="auto", description="auto takes the GPU when there is one")


class ServerSettings(_Settings):
    """The captioner is one or several OpenAI-compatible chat servers with images, e.g. `vllm serve`."""

    backend: Literal["server"] = "server"
    endpoints: Annotated[tuple[ServerUrl, ...], AfterValidator(each_once)] = Field(
        default=("http://127.0.0.1:8000/v1",), min_length=1, description="base URLs of the API, with version: http://host:port/v1"
    )
    own: OwnServerSettings | None = Field(
        default=None, description="start a server for the run and stop it afterwards, instead of using `endpoints`"
    )
    concurrency: int = Field(
        default=64, ge=1, le=4096, description="most requests in flight at once at each endpoint; fewer after 429 or 503"
    )
    parts_at_once: int = Field(default=2, ge=1, le=64, description="parts captioned at once, so that the end of one leaves no server idle")
    timeout_s: float = Field(default=120.0, gt=0, description="longest time from sending a request to its whole answer, in seconds")
    max_retries: int = Field(default=5, ge=0, description="repetitions of one request after 429, 5xx, a timeout or a disconnect")
    patience_s: float = Field(
        default=600.0,
        ge=0,
        description="how long no endpoint at all may answer before the part fails, in seconds; what was answered is kept",
    )
    api_key_variable: str = Field(
        default="OPENAI_API_KEY", pattern=VARIABLE_NAME, description="environment variable with the key; most self-hosted servers need none"
    )


BackendSettings = Annotated[LocalSettings | ServerSettings, Field(discriminator="backend")]
