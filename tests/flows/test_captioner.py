"""Where a flow's captions come from: endpoints that are there, or a server of its own for as long as it is needed."""

import urllib.request
from pathlib import Path

import pytest
from pydantic import ValidationError

from coemogen_core.captioning.backend import EndpointError
from coemogen_core.captioning.recipe import CaptionRecipe, LocalSettings, ServerSettings
from coemogen_core.captioning.server import own_server
from coemogen_core.captioning.server.client import shared_client
from coemogen_core.captioning.server.own_server_settings import OwnServerSettings
from coemogen_core.storage.workspace import Workspace
from flows.captioner import parts_at_once, running_captioner
from flows.params import RecaptionParams, load_params
from tests.coemogen_core.captioning.server.stand_in_vllm import is_alive, lives, make_environment


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnServerSettings:
    monkeypatch.setattr(own_server, "GRACE_S", 0.5)
    return OwnServerSettings(model="org/captioner", environment=make_environment(tmp_path / "environment"))


@pytest.mark.parametrize("settings", [LocalSettings(), ServerSettings(endpoints=("http://127.0.0.1:9/v1",))])
def test_what_is_there_already_is_used_as_it_is(settings, tmp_path):
    with running_captioner(settings, Workspace(str(tmp_path)), needed=lambda: True) as captioner:
        assert captioner == settings


def test_a_server_of_our_own_lives_for_the_block_and_writes_its_log_into_the_workspace(own, monkeypatch, tmp_path):
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    settings = ServerSettings(own=own, concurrency=7)
    with running_captioner(settings, Workspace(str(tmp_path / "w")), needed=lambda: True) as captioner:
        assert captioner.own is None
        assert captioner.concurrency == 7
        assert captioner.patience_s >= own.startup_timeout_s
        with urllib.request.urlopen(f"{captioner.endpoints[0]}/models", timeout=300) as answer:
            assert answer.status == 200
    assert (tmp_path / "w" / "logs" / "captioner.log").exists()
    assert not any(is_alive(pid) for pair in lives(own.environment) for pid in pair)


@pytest.mark.parametrize("as_argument", [True, False])
def test_a_key_of_our_own_server_is_asked_for_and_sent(own, as_argument, monkeypatch, tmp_path):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("VLLM_API_KEY", "a-key")
    if as_argument:
        own = own.model_copy(update={"extra_arguments": ("--api-key", "another-key")})
    settings = ServerSettings(own=own, api_key_variable="OUR_KEY" if as_argument else "VLLM_API_KEY")
    recipe = CaptionRecipe(model="org/captioner")
    monkeypatch.setenv("OUR_KEY", "another-key")
    with running_captioner(settings, Workspace(str(tmp_path / "w")), needed=lambda: True) as captioner:
        with shared_client(recipe, captioner):
            pass
        without = captioner.model_copy(update={"api_key_variable": "OPENAI_API_KEY"})
        message = r"HTTP 401 Unauthorized .* the key in \$OPENAI_API_KEY \(which is not set\)"
        with pytest.raises(EndpointError, match=message), shared_client(recipe, without):
            pass


def test_no_server_is_started_for_nothing(own, tmp_path):
    with running_captioner(ServerSettings(own=own), Workspace(str(tmp_path / "w")), needed=lambda: False) as captioner:
        assert captioner.own is None
    assert not (tmp_path / "w" / "logs").exists()


def test_several_parts_at_once_only_where_a_server_answers():
    assert parts_at_once(LocalSettings()) == 1
    assert parts_at_once(ServerSettings(parts_at_once=3)) == 3


def test_an_own_server_must_serve_the_model_of_the_recipe():
    values = {"workspace": "w", "dataset": "emoset", "captioner": {"backend": "server", "own": {"model": "org/other"}}}
    with pytest.raises(ValidationError, match=r"captioner\.own serves 'org/other', but caption\.model is"):
        load_params("lab", RecaptionParams, {**values, "caption": {"model": "org/captioner"}})
