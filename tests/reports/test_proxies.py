"""This machine's own addresses are reached past every proxy; others through the one that the environment names."""

import contextlib
import os
import socket
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from coemogen_core.captioning.caption_part import caption_part
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.captioning.server.proxies import is_loopback, proxy_of, require_usable_proxies
from coemogen_core.methods.prompt_writing import PromptWriter, write_prompts
from flows.environment import loopback_without_proxy
from tests.coemogen_core.captioning.corpus import PART, SOURCE, jpeg, write_images
from tests.coemogen_core.captioning.stub_server import MODEL

ROOT = Path(__file__).parents[2]
NOBODY = "http://127.0.0.1:9"
PROXIES = {
    "http_proxy": {"http_proxy": NOBODY},
    "both": {"http_proxy": NOBODY, "HTTPS_PROXY": NOBODY},
    "all_proxy": {"ALL_PROXY": NOBODY},
    "socks": {"ALL_PROXY": "socks5://127.0.0.1:9"},
    "socks in small letters": {"all_proxy": "socks5h://127.0.0.1:9"},
    "another exception": {"http_proxy": NOBODY, "no_proxy": "example.org"},
}


@pytest.fixture(params=PROXIES)
def proxied(request, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in PROXIES[request.param].items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("proxied")
def test_captions_come_from_a_server_on_this_machine(workspace, stub):
    wanted = write_images(workspace, [jpeg(1), jpeg(2)])
    settings = ServerSettings(endpoints=(stub.endpoint,), patience_s=0)
    assert caption_part(workspace, SOURCE, PART, wanted, CaptionRecipe(model=MODEL), settings).rows == 2


@pytest.mark.usefixtures("proxied")
def test_prompts_come_from_a_server_on_this_machine(stub, tmp_path):
    assert write_prompts(PromptWriter(endpoint=stub.endpoint, model=MODEL, count=2), tmp_path / "a.toml").prompts


@pytest.mark.slow
@pytest.mark.usefixtures("proxied")
def test_a_flow_runs_against_a_server_on_this_machine(prefect_server, tmp_path):
    """A process of its own: Prefect reads the environment once."""
    code = "from flows.command_line import main; main()"
    command = [sys.executable, "-c", code, "recaption", "--workspace", str(tmp_path / "absent")]
    environment = os.environ | {"PREFECT_API_URL": prefect_server}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert "no decisions of emoset" in done.stderr or "absent" in done.stderr, done.stderr
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


class Socks5(socketserver.StreamRequestHandler):
    """As much of RFC 1928 as a client needs; whatever name is asked for leads to one port of this machine."""

    target: int
    asked: list[bytes]

    def handle(self) -> None:
        _, methods = self.rfile.read(2)
        self.rfile.read(methods)
        self.wfile.write(b"\x05\x00")
        kind = self.rfile.read(4)[3]
        self.asked.append(self.rfile.read(self.rfile.read(1)[0]) if kind == 3 else self.rfile.read(4))
        self.rfile.read(2)
        with socket.create_connection(("127.0.0.1", self.target)) as behind:
            self.wfile.write(b"\x05\x00\x00\x01" + bytes(6))
            back = threading.Thread(target=self.pump, args=(behind, self.connection), daemon=True)
            back.start()
            self.pump(self.connection, behind)
            back.join()

    @staticmethod
    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("kind", ["socks5", "socks5h"])
def test_a_server_elsewhere_is_reached_through_a_socks_proxy(workspace, stub, monkeypatch, kind):
    handler = type("Handler", (Socks5,), {"target": urlsplit(stub.endpoint).port, "asked": []})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        for name in ("http_proxy", "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("ALL_PROXY", f"{kind}://127.0.0.1:{proxy.server_address[1]}")
        wanted = write_images(workspace, [jpeg(1), jpeg(2)])
        settings = ServerSettings(endpoints=("http://captioner.example.org/v1",), patience_s=0)
        assert caption_part(workspace, SOURCE, PART, wanted, CaptionRecipe(model=MODEL), settings).rows == 2
        proxy.shutdown()
    assert set(handler.asked) == {b"captioner.example.org"}


@pytest.mark.parametrize("value", ["http://proxy:notaport", "ftp://proxy:21", "socks4://proxy:1080", "http://", "proxy:99999", "://"])
def test_a_proxy_that_cannot_be_used_is_named_with_its_variable(monkeypatch, value):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", value)
    said = "variable (?:https_proxy|HTTPS_PROXY) names .*unset it"
    with pytest.raises(ValueError, match=said):
        require_usable_proxies()
    with pytest.raises(ValueError, match=said):
        proxy_of("https://api.example.org/v1")
    assert proxy_of("http://127.0.0.1/v1") is None


def test_a_proxy_without_a_scheme_is_one_of_http(monkeypatch):
    monkeypatch.setenv("http_proxy", "proxy.example.org:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    require_usable_proxies()
    assert proxy_of("http://api.example.org/v1") == "http://proxy.example.org:3128"


@pytest.mark.parametrize("given", ["", "example.org", "example.org, 127.0.0.1", "*"])
def test_the_users_exceptions_stay(monkeypatch, given):
    monkeypatch.setenv("http_proxy", NOBODY)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("no_proxy", given)
    found = loopback_without_proxy()
    assert found["no_proxy"] == found["NO_PROXY"]
    hosts = found["no_proxy"].split(",")
    assert {host.strip() for host in given.split(",") if host.strip()} <= set(hosts)
    assert "*" in hosts or {"localhost", "127.0.0.1", "::1"} <= set(hosts)
    assert len(hosts) == len(set(hosts))


def test_nothing_is_changed_without_a_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert loopback_without_proxy() == {}


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://127.4.5.6/v1", True),
        ("http://localhost:8000/v1", True),
        ("http://LOCALHOST./v1", True),
        ("http://vllm.localhost/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://0.0.0.0:8000/v1", True),
        ("http://127.1:8000/v1", True),
        ("http://2130706433/v1", True),
        ("http://[::ffff:127.0.0.1]:8000/v1", True),
        ("http://ip6-localhost/v1", True),
        (f"http://{socket.gethostname()}:8000/v1", True),
        ("http://[::ffff:10.0.0.1]/v1", False),
        ("http://12/v1", False),
        ("http://10.0.0.1/v1", False),
        ("https://api.example.org/v1", False),
        ("http://localhost.example.org/v1", False),
        ("http://127.0.0.1.example.org/v1", False),
    ],
)
def test_only_this_machine_is_loopback(monkeypatch, url, loopback):
    monkeypatch.setenv("http_proxy", "http://proxy.example.org:3128")
    monkeypatch.setenv("https_proxy", "http://proxy.example.org:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert is_loopback(url) is loopback
    assert proxy_of(url) == (None if loopback else "http://proxy.example.org:3128")
