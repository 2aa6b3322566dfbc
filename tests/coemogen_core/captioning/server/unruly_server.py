"""A captioning server as a process of its own, fast, and as unruly as it is told: `python unruly_server.py '{"port": 8123, ...}'`.

Needs nothing but Python. Prints its port when it listens. With `log`, each answer that was sent whole leaves a line there: the hash of
the picture.
"""

import asyncio
import base64
import hashlib
import json
import os
import random
import sys

MODEL = "stub-captioner"
FIXED = "A quiet lake under a pale evening sky."


class Unruly:
    """What the server does, by its options.

    `delay_s`: before each answer. `shares`: how often it does something else, by name: `500`, `503`, `429` (with Retry-After), `hang`
    (never answers), `cut` (closes in mid-answer), `reset` (closes without a word), `not_json`, `no_choice`, `two_choices`, `other_length`
    (fewer bytes than announced), `cut_off` (finish reason length). `capacity`: above so many requests in flight, 429. `fast`: one fixed
    answer, nothing parsed. `key`: 401 without it.
    """

    def __init__(self, options: dict) -> None:
        self.delay_s = options.get("delay_s", 0.0)
        self.shares = options.get("shares", {})
        self.capacity = options.get("capacity")
        self.fast = options.get("fast", False)
        self.key = f"authorization: bearer {options['key']}\r\n".lower().encode() if options.get("key") else b""
        self.in_flight = self.requests = self.most_in_flight = 0
        self.random = random.Random(options.get("seed", 0))
        self.log = os.open(options["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if options.get("log") else None
        self.fixed = http(200, completion(FIXED))

    def mood(self) -> str:
        draw = self.random.random()
        for name, share in self.shares.items():
            draw -= share
            if draw < 0:
                return name
        return "good"


class Connection(asyncio.Protocol):
    def __init__(self, server: Unruly) -> None:
        self.server, self.buffer, self.missing, self.head = server, [], None, b""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.missing is None:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            lower = self.head[:end].lower()
            at = lower.find(b"content-length:")
            self.missing = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            data, self.head, self.buffer = self.head[end + 4 :], self.head[:end], []
        self.buffer.append(data)
        self.missing -= len(data)
        if self.missing <= 0:
            head, body = self.head, self.buffer
            self.missing, self.head, self.buffer = None, b"", []
            self.request(head, body)

    def request(self, head: bytes, body: list[bytes]) -> None:
        server, loop = self.server, asyncio.get_running_loop()
        if server.key and server.key not in head.lower() + b"\r\n":
            self.transport.write(http(401, {"error": "Unauthorized"}))
            return
        if head.startswith(b"GET "):
            path = head.split(b" ", 2)[1]
            known = {b"/v1/models": {"object": "list", "data": [{"id": MODEL, "object": "model"}]}}
            known[b"/stats"] = {"requests": server.requests, "most_in_flight": server.most_in_flight}
            self.transport.write(http(200, known.get(path, {})))
            return
        server.requests += 1
        server.in_flight += 1
        server.most_in_flight = max(server.most_in_flight, server.in_flight)
        if server.fast:
            loop.call_later(server.delay_s, self.finish, server.fixed, None)
            return
        over = server.capacity is not None and server.in_flight > server.capacity
        mood = "429" if over else server.mood()
        if mood == "hang":
            server.in_flight -= 1
            return
        loop.call_later(0 if over else server.delay_s, self.answer, mood, b"".join(body))

    def answer(self, mood: str, body: bytes) -> None:
        content = json.loads(body)["messages"][0]["content"]
        url = next(part["image_url"]["url"] for part in content if part["type"] == "image_url")
        image_id = hashlib.sha256(base64.b64decode(url.split(",", 1)[1])).hexdigest()
        emotion = content[-1]["text"].rstrip(".").rsplit(" ", 1)[-1]
        good = completion(f"A scene numbered {int(image_id[:8], 16)} full of {emotion}.")
        error = {"error": {"message": "as told", "type": "error"}}
        if mood in ("500", "503"):
            self.finish(http(int(mood), error), None)
        elif mood == "429":
            self.finish(http(429, error, "Retry-After: 0.05\r\n"), None)
        elif mood == "reset":
            self.finish(b"", None, close=True)
        elif mood == "cut":
            whole = http(200, good)
            self.finish(whole[: len(whole) // 2], None, close=True)
        elif mood == "other_length":
            self.finish(http(200, good)[:-10], None, close=True)
        elif mood == "not_json":
            self.finish(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{not json", None)
        elif mood == "no_choice":
            self.finish(http(200, good | {"choices": []}), None)
        elif mood == "two_choices":
            self.finish(http(200, good | {"choices": good["choices"] * 2}), None)
        elif mood == "cut_off":
            full = {"prompt_tokens": 100, "completion_tokens": 64, "total_tokens": 164}
            self.finish(http(200, good | {"choices": [good["choices"][0] | {"finish_reason": "length"}], "usage": full}), None)
        else:
            self.finish(http(200, good), image_id)

    def finish(self, data: bytes, image_id: str | None, *, close: bool = False) -> None:
        self.server.in_flight -= 1
        if self.transport.is_closing():
            return
        self.transport.write(data)
        if close:
            self.transport.close()
        if image_id is not None and self.server.log is not None:
            os.write(self.server.log, f"{image_id}\n".encode())


def completion(text: str) -> dict:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 12, "total_tokens": 112}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice], "usage": usage}


def http(status: int, value: dict, headers: str = "") -> bytes:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def main(options: dict) -> None:
    unruly = Unruly(options)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(unruly), "127.0.0.1", options.get("port", 0), backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}))
