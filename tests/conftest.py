"""Shared fixtures: one Prefect test server a session, tiny models with random weights, the real photos where there are any."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
settings.register_profile("untimed", deadline=None)  # no test asserts a time: a busy machine is not a failure
settings.load_profile("untimed")
torch.set_num_threads(1)  # tests run side by side: one thread each


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with small real photo and painting sets, which lies beside some checkouts."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real photos here: {SHARED_DATA} does not exist")
    return SHARED_DATA


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A temporary Prefect server and database for the tests that run flows or tasks."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a CLIP of the lab's architecture with random weights."""
    from coemogen_core.lab.architectures import new_clip, new_clip_tokenizer, new_image_processor
    from coemogen_core.lab.build.vision_language import caption_corpus

    folder = tmp_path_factory.mktemp("tiny_clip")
    torch.manual_seed(0)
    tokenizer = new_clip_tokenizer(caption_corpus(), 700)
    for part in (tokenizer, new_image_processor(), new_clip(tokenizer)):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_diffusion(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a Stable Diffusion pipeline of the lab's architecture with random weights."""
    from transformers import CLIPTextModel, CLIPTokenizer

    from coemogen_core.lab.architectures import diffusion_pipeline, new_unet, new_vae

    folder = tmp_path_factory.mktemp("tiny_diffusion")
    torch.manual_seed(0)
    pipeline = diffusion_pipeline(new_vae(), new_unet(), CLIPTextModel.from_pretrained(tiny_clip), CLIPTokenizer.from_pretrained(tiny_clip))
    pipeline.save_pretrained(folder)
    return folder
