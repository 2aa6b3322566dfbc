"""The real vLLM under our supervision: what it answers, and that it comes back when killed and is gone when stopped. See make test-vllm."""

import base64
import hashlib
import io
import json
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest
from PIL import Image

from coemogen_core.captioning.backend import CaptionRequest, Chunk, EndpointError
from coemogen_core.captioning.prompt import load_prompt
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.captioning.server.backend import ServerBackend
from coemogen_core.captioning.server.own_server import OwnServer, serve
from coemogen_core.captioning.server.own_server_settings import OwnServerSettings
from coemogen_core.lab.build.measure import HELD_OUT_SEED
from coemogen_core.lab.build.training import ScenePool, draw_pool
from coemogen_core.lab.scenes.captions import named_content

KEY = secrets.token_hex(16)
SETTINGS = OwnServerSettings(model="lab:captioner", startup_timeout_s=300, extra_arguments=("--api-key", KEY))
DEADLINE_S = 300
SCHEMA = {
    "type": "object",
    "properties": {
        "caption": {"type": "string", "minLength": 5, "maxLength": 60},
        "brightness": {"type": "string", "enum": ["dark", "medium", "bright"]},
        "objects": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 3},
        "expression": {"anyOf": [{"type": "string", "maxLength": 12}, {"type": "null"}]},
        "action": {"type": ["string", "null"], "maxLength": 12},
    },
    "required": ["caption", "brightness", "objects", "expression", "action"],
    "additionalProperties": False,
}

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(not SETTINGS.python.exists(), reason=f"no vLLM at {SETTINGS.environment}: make captioner builds it"),
]


@pytest.fixture(scope="module", autouse=True)
def own_cache_and_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def server(own_cache_and_key: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """A server that no test may harm."""
    with serve(SETTINGS, tmp_path_factory.mktemp("server") / "vllm.log") as running:
        yield running


@pytest.fixture(scope="module")
def pool() -> ScenePool:
    """16 scenes that no training has seen."""
    return draw_pool(16, HELD_OUT_SEED + 5, "emotional")


def png(pool: ScenePool, row: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pool.pixels[row]).save(buffer, format="PNG")
    return buffer.getvalue()


def ask(server: OwnServer, pool: ScenePool, row: int, **options: Any) -> Any:
    """The first choice of a chat completion for one scene, asked with the production prompt."""
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(png(pool, row)).decode()}"}}
    text = {"type": "text", "text": load_prompt("prior-short.v1").render(pool.scenes[row].emotion)}
    with openai.OpenAI(base_url=server.endpoint, max_retries=0, timeout=60) as client:
        messages: list[Any] = [{"role": "user", "content": [picture, text]}]
        return client.chat.completions.create(model=server.model, messages=messages, temperature=0, **options).choices[0]


def test_it_names_what_the_pictures_show(server: OwnServer, pool: ScenePool) -> None:
    assert server.model == CaptionRecipe(model="lab:captioner").model
    answers = [ask(server, pool, row, max_tokens=48) for row in range(len(pool))]
    assert all(answer.finish_reason == "stop" for answer in answers)
    right = sum(named_content(answer.message.content) == scene.content for answer, scene in zip(answers, pool.scenes, strict=True))
    assert right >= 14


def test_it_lets_our_client_in_with_the_key_and_nobody_without_it(
    server: OwnServer, pool: ScenePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, text = png(pool, 0), load_prompt("prior-short.v1").render(pool.scenes[0].emotion)
    chunk = Chunk(0, [CaptionRequest(hashlib.sha256(picture).hexdigest(), picture, "", text, 0)])
    backend = ServerBackend(CaptionRecipe(model="lab:captioner"), ServerSettings(endpoints=(server.endpoint,)))
    answers = [answer for _, answers in backend.answer(iter([chunk]), lambda _: None) for answer in answers]
    assert [(answer.error, bool(answer.text)) for answer in answers] == [(None, True)]
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    with pytest.raises(openai.AuthenticationError):
        ask(server, pool, 0, max_tokens=48)
    with pytest.raises(EndpointError, match=r"answered HTTP 401 .*the key in \$OPENAI_API_KEY$"):
        list(backend.answer(iter([chunk]), lambda _: None))


def test_its_json_keeps_to_the_schema_and_holds_no_blanks_to_get_lost_in(server: OwnServer, pool: ScenePool) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "description", "schema": SCHEMA, "strict": True}}
    for row in range(4):
        answer = ask(server, pool, row, max_tokens=200, response_format=form)
        assert answer.finish_reason == "stop"
        description = json.loads(answer.message.content)
        assert list(description) == SCHEMA["required"]
        assert 5 <= len(description["caption"]) <= 60
        assert description["brightness"] in ("dark", "medium", "bright")
        assert len(description["objects"]) <= 3
        assert answer.message.content == json.dumps(description, separators=(",", ":"), ensure_ascii=False)


def test_a_killed_engine_is_replaced_and_a_stopped_server_is_gone(pool: ScenePool, tmp_path: Path) -> None:
    with serve(SETTINGS, tmp_path / "vllm.log") as server:
        before = ask(server, pool, 0, max_tokens=48).message.content
        first = family(server.pid)
        engine = next(process for process in first if process.name().startswith("VLLM::EngineCor"))
        engine.send_signal(signal.SIGKILL)
        wait_for_another_life(server, first[0].pid)
        assert ask(server, pool, 0, max_tokens=48).message.content == before
        assert not [process for process in first if is_alive(process)]
        second = family(server.pid)
        assert len(second) >= 2
    assert not [process for process in second if is_alive(process)]


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it has started, and that they have."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_another_life(server: OwnServer, first: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        assert time.monotonic() < deadline, server.log_file.read_text()[-3000:]
        time.sleep(1)
        try:
            if server.pid != first and openai.OpenAI(base_url=server.endpoint, max_retries=0).models.list().data:
                return
        except openai.APIConnectionError:
            continue
