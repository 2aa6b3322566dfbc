"""What the tests of `coemogen evaluate` share: a reference, a CLIP of another width, and the command itself."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from flows.command_line.evaluation import evaluate
from schemas.metrics import Metrics
from tests.flows.evaluate_command.drawn_pictures import draw_set

FEW = ["resamples=20"]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_set(tmp_path_factory.mktemp("real") / "real", 8, first=100)


@pytest.fixture(scope="module")
def wide_clip(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP of random weights with ViT-L/14's width of 768."""
    from transformers import AutoImageProcessor, AutoTokenizer, CLIPConfig, CLIPModel

    folder = tmp_path_factory.mktemp("wide_clip")
    config = CLIPConfig.from_pretrained(tiny_clip)
    config.projection_dim = config.text_config.projection_dim = config.vision_config.projection_dim = 768
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_clip).save_pretrained(folder)
    AutoImageProcessor.from_pretrained(tiny_clip, backend="pil").save_pretrained(folder)
    return folder


@pytest.fixture
def measure(real: Path, tmp_path: Path) -> Callable[..., Metrics]:
    """The numbers of a folder, as they stand in the file."""

    def run(images: Path, *settings: str, **options: object) -> Metrics:
        file = tmp_path / "out" / "metrics.json"
        given = {"reference": str(real), "json_file": file, "settings": [*FEW, *settings], **options}
        evaluate(str(images), **given)  # type: ignore[arg-type]
        assert "NaN" not in file.read_text()
        return Metrics.model_validate_json(file.read_bytes())

    return run
