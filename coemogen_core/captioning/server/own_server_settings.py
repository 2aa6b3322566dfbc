"""How a vLLM server of our own is started: its settings, and the command line and environment variables that they stand for."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from coemogen_core.storage.model_source import ModelName
from schemas.frozen_model import FrozenModel

HOST = "127.0.0.1"  # vLLM has no users and no passwords: it is for this machine only
ENVIRONMENT_VARIABLE = "COEMOGEN_CAPTIONER_ENV"
# Where a JSON grammar allows blanks, a model that never learnt JSON writes nothing else until its tokens are spent.
COMPACT_JSON = {"backend": "xgrammar", "disable_any_whitespace": True}
_CHECKOUT = Path(__file__).parents[3]


def default_environment() -> Path:
    """Folder of the captioner's virtual environment: `$COEMOGEN_CAPTIONER_ENV`, else where `make captioner` builds it."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named).expanduser() if named else _CHECKOUT / "envs" / "captioner" / ".venv"


class OwnServerSettings(FrozenModel):
    """A vLLM server that we start, watch and stop."""

    model: ModelName = Field(min_length=1, description="folder of a saved model, a hub id, or lab:captioner; also the served name")
    revision: str | None = Field(default=None, description="commit of a hub model")
    environment: Path = Field(
        default_factory=default_environment,
        description=f"virtual environment with vLLM; ${ENVIRONMENT_VARIABLE}, else the one that `make captioner` builds",
    )
    port: int = Field(default=0, ge=0, le=65535, description="on 127.0.0.1; 0 takes a free one")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="number format of the weights; auto: the model's own on a GPU, float32 on a CPU"
    )
    max_model_len: int | None = Field(
        default=None, ge=64, description="longest request with its answer, in tokens (a picture is hundreds); None: what the model can take"
    )
    max_num_seqs: int = Field(default=128, ge=1, le=4096, description="requests computed at once")
    max_pixels: int | None = Field(
        default=None,
        ge=28 * 28,
        description="Qwen-VL models only: larger pictures are reduced to this area; None: the model's own bound, and right for all others",
    )
    data_parallel: int = Field(default=1, ge=1, le=1024, description="copies of the model, one a GPU, behind the one port")
    gpu_memory_utilization: float = Field(
        default=0.9, gt=0.0, le=1.0, description="share of the GPU's memory for vLLM; without effect on a CPU"
    )
    extra_arguments: tuple[str, ...] = Field(
        default=(), description="more arguments of `vllm serve`, put after all others, so that they win"
    )
    startup_timeout_s: float = Field(default=900.0, gt=0, description="longest time until the server is healthy, downloads included")
    max_restarts: int = Field(
        default=5, ge=0, description="deaths in a row after which the server is given up; ten minutes of health start the count anew"
    )

    @property
    def python(self) -> Path:
        """Interpreter of the environment."""
        return self.environment / "bin" / "python"

    @property
    def on_cpu(self) -> bool:
        """Whether the environment holds vLLM's CPU build."""
        return any(self.environment.glob("lib/python3*/site-packages/vllm-*+cpu.dist-info"))

    def command(self, weights: str, port: int) -> list[str]:
        """Command line of the server on a port (never 0), with weights (folder or hub id) that may be a mended copy of `model`."""
        options: dict[str, object] = {
            "--served-model-name": self.model,
            "--host": HOST,
            "--port": port,
            "--dtype": "float32" if self.on_cpu and self.precision == "auto" else self.precision,
            "--max-num-seqs": self.max_num_seqs,
            "--limit-mm-per-prompt": json.dumps({"image": 1, "video": 0}),
            "--structured-outputs-config": json.dumps(COMPACT_JSON),
        }
        if self.revision is not None:
            options["--revision"] = self.revision
        if self.max_model_len is not None:
            options["--max-model-len"] = self.max_model_len
        if self.max_pixels is not None:
            options["--mm-processor-kwargs"] = json.dumps({"max_pixels": self.max_pixels})
        if self.data_parallel > 1:
            options["--data-parallel-size"] = self.data_parallel
        if not self.on_cpu:
            options["--gpu-memory-utilization"] = self.gpu_memory_utilization
        flags = ["--enable-prefix-caching", "--disable-uvicorn-access-log", *(["--enforce-eager"] if self.on_cpu else [])]
        # The module rather than the script beside it: a moved environment keeps working.
        serve = [str(self.python), "-m", "vllm.entrypoints.cli.main", "serve", weights]
        return [*serve, *(str(text) for option in options.items() for text in option), *flags, *self.extra_arguments]

    def variables(self, weights: str, inherited: Mapping[str, str]) -> dict[str, str]:
        """Environment variables of the server: ours, without what would lead its Python astray; what the user has set wins."""
        variables = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        if Path(weights).is_dir():
            variables["HF_HUB_OFFLINE"] = "1"
        if self.on_cpu:
            variables["VLLM_CPU_KVCACHE_SPACE"] = "1"  # GiB
        kept = {name: value for name, value in inherited.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
        return {**variables, **kept}
