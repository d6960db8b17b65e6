"""A stand-in for an OpenAI-compatible server on loopback: answers as the fake captioner does, and fails as it is told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from models.captioner.fake import FakeCaptioner
from models.captioner.protocol import Ask, Turn

MODEL = "stand-in"


@dataclass(frozen=True)
class Fault:
    """What the next request meets instead of a completion."""

    status: int = 200
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    hang: float = 0.0


@dataclass
class Completions:
    """`faults` are met first, one a request; `asked` are the requests as they came, `paths` where they went."""

    url: str = ""
    key: str | None = None
    faults: list[Fault] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    slow: float = 0.0
    say: Callable[[dict[str, Any]], str] | None = None
    """What it answers to a request, instead of the fake captioner's sentence."""
    lock: Any = field(default_factory=threading.Lock)


def sentence(asked: dict[str, Any]) -> dict[str, Any]:
    """A choice: of a text's completion, or the message that answers a chat."""
    if (said := asked.get("messages")) is None:
        text = FakeCaptioner().complete([Ask(asked["prompt"], asked["seed"])])[0]
        return {"index": 0, "text": text.removesuffix("\n"), "finish_reason": "stop"}
    turns = tuple(Turn(message["role"], message["content"]) for message in said)
    text = FakeCaptioner().complete([Ask(turns, asked["seed"])])[0]
    return {"index": 0, "message": {"role": "assistant", "content": text.strip()}, "finish_reason": "stop"}


class Handler(BaseHTTPRequestHandler):
    here: Completions
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.allowed():
            known = self.path == "/v1/models"
            self.answer(
                200 if known else 404, json.dumps({"data": [{"id": MODEL}]} if known else {"detail": "Not Found"})
            )

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            return
        with self.here.lock:
            self.here.asked.append(asked)
            self.here.paths.append(self.path)
            fault = self.here.faults.pop(0) if self.here.faults else None
            self.here.at_once += 1
            self.here.most_at_once = max(self.here.most_at_once, self.here.at_once)
        time.sleep(fault.hang if fault else self.here.slow)
        with self.here.lock:
            self.here.at_once -= 1
        if fault:
            self.answer(fault.status, fault.body, **fault.headers)
        elif asked["model"] != MODEL:
            self.answer(404, json.dumps({"error": {"message": f"The model `{asked['model']}` does not exist."}}))
        else:
            choice = (
                {"index": 0, "text": self.here.say(asked), "finish_reason": "stop"}
                if self.here.say
                else sentence(asked)
            )
            self.answer(200, json.dumps({"choices": [choice]}))

    def allowed(self) -> bool:
        if self.here.key and (sent := self.headers["Authorization"]) != f"Bearer {self.here.key}":
            self.answer(401, json.dumps({"error": {"message": f"Incorrect API key provided: {sent}"}}))
            return False
        return True

    def answer(self, status: int, body: str, **headers: str) -> None:
        content = body.encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # whoever asked has gone

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def completions() -> Iterator[Completions]:
    here = Completions()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Handler,), {"here": here}))
    server.daemon_threads = True
    here.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
