"""Shared fixtures: one Prefect test server a session, tiny models with random weights, the real photos where there are any."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import settings

from coemogen_core.storage.workspace import Workspace
from tests.once_a_run import once_a_run, run_folder
from tests.recorded_slot import RecordedSlot

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from coemogen_core.model.base_models import BaseModels

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
settings.register_profile("untimed", deadline=None)  # no test asserts a time: a busy machine is not a failure
settings.load_profile("untimed")
torch.set_num_threads(1)  # tests run side by side: one thread each


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`every_storage`: the test gets its workspace on a disk, and once more in memory, where nothing is a file of the system's."""
    if "workspace" in metafunc.fixturenames and metafunc.definition.get_closest_marker("every_storage"):
        metafunc.parametrize("workspace", ["local", "memory"], indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first, or one worker is left with one of them at the end."""
    patience = {item.path: 0 for item in items}
    for item in items:
        wanted = 2 if item.get_closest_marker("orchestration") else 1 if item.get_closest_marker("slow") else 0
        patience[item.path] = max(patience[item.path], wanted)
    items.sort(key=lambda item: -patience[item.path])


@pytest.fixture(scope="session", autouse=True)
def signals_of_the_tests() -> Iterator[None]:
    """A command that a test calls does not take over the signals of the process that runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.command_line.front.end_soon_after_a_signal", lambda: None)
        patch.setattr("flows.command_line.front.end_at_once_after_a_signal", lambda: None)
        yield


@pytest.fixture
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    """An empty workspace of this test alone: a folder, or of the kind that the mark `every_storage` asks for."""
    in_memory = getattr(request, "param", "local") == "memory"
    return Workspace(f"memory://{uuid.uuid4().hex}" if in_memory else str(tmp_path / "workspace"))


@pytest.fixture
def slot() -> RecordedSlot:
    """A slot that tells what was done within it."""
    return RecordedSlot()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with small real photo and painting sets, which lies beside some checkouts."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real photos here: {SHARED_DATA} does not exist")
    return SHARED_DATA


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server with a database of its own, the same one for all tests that run flows or tasks; the address of its API."""
    from prefect.context import _temporary_global_settings_context, get_settings_context
    from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

    from tests.shared_server import shared_server

    folder = run_folder(tmp_path_factory) / "prefect"
    folder.mkdir(exist_ok=True)
    quiet = {PREFECT_LOGGING_TO_API_ENABLED: False}  # nobody reads these logs there
    with shared_server(folder) as api, temporary_settings({PREFECT_API_URL: api} | quiet):
        with _temporary_global_settings_context(get_settings_context()):  # for threads that copied their context before
            yield api
        _send_what_is_left()


def _send_what_is_left() -> None:
    """Logs and events that have not reached the server yet, which may end now."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all()


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a CLIP of the lab's architecture with random weights."""
    return once_a_run(tmp_path_factory, "tiny_clip", _save_clip)


def _save_clip(folder: Path) -> None:
    from coemogen_core.lab.architectures import new_clip, new_clip_tokenizer, new_image_processor
    from coemogen_core.lab.build.vision_language import caption_corpus

    torch.manual_seed(0)
    tokenizer = new_clip_tokenizer(caption_corpus(), 700)
    for part in (tokenizer, new_image_processor(), new_clip(tokenizer)):
        part.save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_diffusion(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a Stable Diffusion pipeline of the lab's architecture with random weights."""
    return once_a_run(tmp_path_factory, "tiny_diffusion", partial(_save_diffusion, tiny_clip))


def _save_diffusion(tiny_clip: Path, folder: Path) -> None:
    from transformers import CLIPTextModel, CLIPTokenizer

    from coemogen_core.lab.architectures import diffusion_pipeline, new_unet, new_vae

    torch.manual_seed(0)
    pipeline = diffusion_pipeline(new_vae(), new_unet(), CLIPTextModel.from_pretrained(tiny_clip), CLIPTokenizer.from_pretrained(tiny_clip))
    pipeline.save_pretrained(folder)


@pytest.fixture(scope="session")
def models(tiny_clip: Path, tiny_diffusion: Path) -> "BaseModels":
    """Both of them."""
    from coemogen_core.model.base_models import BaseModels

    return BaseModels(diffusion=str(tiny_diffusion), clip=str(tiny_clip))


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Debian's Chromium. A file of tests at a time: Playwright keeps an event loop running, and Prefect's tests start their own."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on the path")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium)
        yield found
        found.close()


@pytest.fixture
def open_page(browser: "Browser", page_uri: str) -> Iterator[Callable[..., "Page"]]:
    """Opens the file that the module's `page_uri` names, in a fresh profile; a message on the console, an error, or a request for anything
    but the file fails the test."""
    contexts, problems = [], []

    def opened(script: str = "", **options: object) -> "Page":
        context = browser.new_context(**options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("request", lambda request: request.url.startswith(("file:", "data:", "blob:")) or problems.append(request.url))
        page.add_init_script(script)
        page.goto(page_uri)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []
