"""A real HTTP server that speaks just enough of the chat API, and misbehaves as a test tells it."""

import base64
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

MODEL = "stub-captioner"
TEXT = "text"  # stands for the image id of a request without a picture
Misbehaviour = Callable[[str, int], Response | None]


@dataclass(frozen=True)
class Arrived:
    """A request as it reached the server."""

    path: str
    headers: dict[str, str]


class StubServer:
    """Captions a picture with words that depend on its bytes and on the emotion in the prompt; without a picture it writes two prompts.

    Attributes:
        key: whoever asks without it is turned away, as vLLM's --api-key does; None: everybody may ask.
        arrived: all requests, those that were turned away included.
        misbehave: called with the image id and the number of the request for this image (1, 2, ...); its response, if any, is sent.
        requests: number of requests by image id.
        bodies: the JSON bodies received.
        most_at_once: the largest number of requests in flight.
    """

    def __init__(self, delay_s: float = 0.0) -> None:
        self.reset(delay_s)
        self._lock = threading.Lock()
        self._server = HTTPServer(host="127.0.0.1", threaded=True)
        self._server.expect_request("/v1/models").respond_with_handler(lambda request: self._received(request) or _models())
        self._server.expect_request("/v1/chat/completions", method="POST").respond_with_handler(
            lambda request: self._received(request) or self._answer(request)
        )

    def reset(self, delay_s: float = 0.0) -> None:
        """Behave again, and forget what was asked."""
        self.delay_s = delay_s
        self.key: str | None = None
        self.arrived: list[Arrived] = []
        self.misbehave: Misbehaviour = lambda image_id, number: None
        self.requests: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.most_at_once = 0
        self._at_once = 0

    @property
    def endpoint(self) -> str:
        return self._server.url_for("/v1")

    def __enter__(self) -> "StubServer":
        self._server.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port; what is in flight is answered."""
        if self._server.is_running():
            self._server.stop()

    def _received(self, request: Request) -> Response | None:
        """Note a request; the answer to one without the key."""
        with self._lock:
            self.arrived.append(Arrived(request.path, dict(request.headers)))
        if self.key is None or request.headers.get("Authorization") == f"Bearer {self.key}":
            return None
        return _json({"error": "Unauthorized"}, 401)

    def _answer(self, request: Request) -> Response:
        body = json.loads(request.get_data())
        image_id, words = _asked(body)
        with self._lock:
            self.bodies.append(body)
            self.requests[image_id] += 1
            number = self.requests[image_id]
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            time.sleep(self.delay_s)
            return self.misbehave(image_id, number) or completion(words)
        finally:
            with self._lock:
                self._at_once -= 1


def _asked(body: dict[str, Any]) -> tuple[str, str]:
    """Image id of a request, and what is answered."""
    parts = body["messages"][0]["content"]
    if isinstance(parts, str):
        return TEXT, f"1. a dog in a park\n2) “a cat, number {body['seed']}”\n"
    url = next(part["image_url"]["url"] for part in parts if part["type"] == "image_url")
    image_id = hashlib.sha256(base64.b64decode(url.split(",", 1)[1])).hexdigest()
    return image_id, caption_of(image_id, parts[-1]["text"])


def caption_of(image_id: str, text: str) -> str:
    """What the server says of a picture when it was asked with a text that ends with the emotion."""
    return f"A scene numbered {int(image_id[:8], 16)} full of {text.rstrip('.').rsplit(' ', 1)[-1]}."


def completion(text: str | None) -> Response:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 12, "total_tokens": 112}
    return _json({"id": "1", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice], "usage": usage}, 200)


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """An error in the API's form."""
    return _json({"error": {"message": message, "type": "error", "code": status}}, status, headers)


def _models() -> Response:
    return _json({"object": "list", "data": [{"id": MODEL, "object": "model"}]}, 200)


def _json(value: object, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(value), status, headers, content_type="application/json")
