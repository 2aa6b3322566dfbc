"""Where a flow's captions come from: endpoints that are there, or a server of its own for as long as it is needed."""

import urllib.request
from pathlib import Path

import pytest
from pydantic import ValidationError

from coemogen_core.captioning.own_server.process import process as own_server
from coemogen_core.captioning.own_server.settings import OwnServerSettings
from coemogen_core.captioning.recipe import LocalSettings, ServerSettings
from coemogen_core.storage.workspace import Workspace
from flows.params import RecaptionParams, load_params
from flows.services.captioner import parts_at_once, running_captioner
from tests.coemogen_core.captioning.own_server.stand_in_vllm import is_alive, lives, make_environment


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnServerSettings:
    monkeypatch.setattr(own_server, "GRACE_S", 0.5)
    return OwnServerSettings(model="org/captioner", environment=make_environment(tmp_path / "environment"))


@pytest.mark.parametrize("settings", [LocalSettings(), ServerSettings(endpoints=("http://127.0.0.1:9/v1",))])
def test_what_is_there_already_is_used_as_it_is(settings, tmp_path):
    with running_captioner(settings, Workspace(str(tmp_path)), needed=lambda: True) as captioner:
        assert captioner == settings


def test_a_server_of_our_own_lives_for_the_block_and_writes_its_log_into_the_workspace(own, tmp_path):
    settings = ServerSettings(own=own, concurrency=7)
    with running_captioner(settings, Workspace(str(tmp_path / "w")), needed=lambda: True) as captioner:
        assert captioner.own is None
        assert captioner.concurrency == 7
        assert captioner.patience_s >= own.startup_timeout_s
        with urllib.request.urlopen(f"{captioner.endpoints[0]}/models", timeout=10) as answer:
            assert answer.status == 200
    assert (tmp_path / "w" / "logs" / "captioner.log").exists()
    assert not any(is_alive(pid) for pair in lives(own.environment) for pid in pair)


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
