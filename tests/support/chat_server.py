"""A server that speaks the OpenAI-compatible chat protocol, strictly; what it says is scripted."""

import base64
import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import jsonschema_rs
import soundfile

KEY = "sk-test-5ecret5ecret5ecret"
MODEL = "narrator-7b"


@dataclass(frozen=True)
class Reply:
    """How to answer one request."""

    text: str = ""
    status: int = 200
    error: str = "no"
    headers: dict[str, str] = field(default_factory=dict)
    pieces: int = 7  # letters of a piece of text
    frame: int | None = None  # bytes of a write; None: an event each
    finish: str = "stop"
    refusal: str | None = None
    is_streamed: bool = True
    breaks_after: int | None = None  # events, after which the connection is closed
    fails_after: int | None = None  # events, after which an error is told
    pause_s: float = 0.0  # before the first byte, and between events
    raw: bytes | None = None  # sent as the body, instead of all this
    is_silent: bool = False  # closes the connection without a word


Script = Callable[[dict[str, Any]], Reply]


@dataclass
class Audio:
    """What was heard of a request."""

    sample_rate: int
    channels: int
    samples: int
    subtype: str


class ChatHost(ThreadingHTTPServer):
    """Answers chats as it is told; checks every request as a strict server does.

    Attributes:
        replies: for the next requests, in order; the last one goes on.
        asked: bodies of all chats.
        heard: WAV files that came with them.
        refuses: kinds of response format, or fields, that it does not take.
        most_at_once: chats that waited for their first byte at the same time.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, replies: list[Reply | Script], key: str | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies = replies
        self.key = key
        self.models = [MODEL]
        self.refuses: set[str] = set()
        self.asked: list[dict[str, Any]] = []
        self.at_s: list[float] = []
        self.heard: list[Audio] = []
        self.most_at_once = self.open = 0
        self.lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def formats(self) -> list[str]:
        """Response formats that were asked for, in order."""
        return [body.get("response_format", {}).get("type", "text") for body in self.asked]

    def reply_to(self, body: dict[str, Any]) -> Reply:
        with self.lock:
            self.asked.append(body)
            self.at_s.append(time.monotonic())
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply if isinstance(reply, Reply) else reply(body)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients break off on purpose."""


@contextmanager
def hosting(*replies: Reply | Script, key: str | None = None) -> Iterator[ChatHost]:
    with ChatHost(list(replies) or [Reply("{}")], key) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: ChatHost
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self._is_locked():
            return
        if self.path != "/v1/models":
            self._send(404, {"error": {"message": f"no route {self.path}"}})
            return
        data = [{"id": name, "object": "model"} for name in self.server.models]
        self._send(200, {"object": "list", "data": data})

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        body = json.loads(self.rfile.read(length))
        if self._is_locked():
            return
        if self.path != "/v1/chat/completions":
            self._send(404, {"error": {"message": f"no route {self.path}"}})
            return
        self._chat(body)

    def _is_locked(self) -> bool:
        given = self.headers.get("authorization")
        if self.server.key is None or given == f"Bearer {self.server.key}":
            return False
        self._send(401, {"error": {"message": f"Incorrect API key provided: {given}"}})
        return True

    def _chat(self, body: dict[str, Any]) -> None:
        reply = self.server.reply_to(body)
        if body["model"] not in self.server.models:
            self._send(404, {"error": {"message": f"model {body['model']} does not exist"}})
            return
        problem = self._problem(body)
        if problem:
            self._send(400, {"error": {"message": problem, "type": "invalid_request_error"}})
            return
        self._ponder(reply.pause_s)
        if reply.is_silent:
            self.close_connection = True
        elif reply.status != 200:
            self._send(reply.status, {"error": {"message": reply.error}}, reply.headers)
        elif reply.raw is not None:
            self._send_bytes(200, reply.raw, {"content-type": "text/event-stream"} | reply.headers)
        elif not reply.is_streamed:
            message = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
            choice = {"index": 0, "message": message, "finish_reason": reply.finish}
            self._send(200, {"object": "chat.completion", "choices": [choice]})
        else:
            self._stream(reply)

    def _ponder(self, pause_s: float) -> None:
        with self.server.lock:
            self.server.open += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.open)
        time.sleep(pause_s)
        with self.server.lock:
            self.server.open -= 1

    def _problem(self, body: dict[str, Any]) -> str | None:
        told = body.get("response_format", {"type": "text"})
        for refused in self.server.refuses:
            if refused in (told["type"], *body):
                return f"{refused} is not supported"
        if told["type"] == "json_schema":
            schema = told["json_schema"]["schema"]
            jsonschema_rs.validator_for(schema)
            if not all(_is_strict(part) for part in _objects(schema)):
                return "strict schemas name every property as required, and allow no others"
        elif "JSON" not in json.dumps(body["messages"]):
            return "messages must contain the word JSON"
        for message in body["messages"]:
            if message["role"] not in ("system", "user", "assistant"):
                return f"unknown role {message['role']}"
            if isinstance(message["content"], list):
                for part in message["content"]:
                    self._hear(part)
        return None

    def _hear(self, part: dict[str, Any]) -> None:
        if part["type"] == "input_audio":
            assert part["input_audio"]["format"] == "wav"
            data = base64.b64decode(part["input_audio"]["data"], validate=True)
            with soundfile.SoundFile(io.BytesIO(data)) as file:
                assert file.format == "WAV"
                assert len(file.read()) == file.frames
                heard = Audio(file.samplerate, file.channels, file.frames, file.subtype)
            self.server.heard.append(heard)

    def _stream(self, reply: Reply) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for count, event in enumerate(_events(reply)):
            if count == reply.breaks_after:
                return
            if count == reply.fails_after:
                event = b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'
            size = reply.frame or len(event)
            for at in range(0, len(event), size):
                self.wfile.write(event[at : at + size])
                self.wfile.flush()
            time.sleep(reply.pause_s)

    def _send(
        self, status: int, told: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        content = json.dumps(told, ensure_ascii=False).encode()
        self._send_bytes(status, content, {"content-type": "application/json"} | (headers or {}))

    def _send_bytes(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"content-length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _events(reply: Reply) -> Iterator[bytes]:
    yield b": a comment that keeps the connection open\n\n"
    yield _event({"role": "assistant", "content": ""}, None)
    if reply.refusal:
        yield _event({"refusal": reply.refusal}, None)
    for at in range(0, len(reply.text), reply.pieces):
        yield _event({"content": reply.text[at : at + reply.pieces]}, None)
    yield _event({}, reply.finish)
    yield b'data: {"object": "chat.completion.chunk", "choices": [], "usage": {"total": 9}}\r\n\r\n'
    yield b"data: [DONE]\n\n"


def _event(delta: dict[str, Any], finish: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"object": "chat.completion.chunk", "choices": [choice]}
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def _objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if schema.get("type") == "object":
        yield schema
    for part in [*schema.get("properties", {}).values(), schema.get("items")]:
        if part:
            yield from _objects(part)


def _is_strict(schema: dict[str, Any]) -> bool:
    required = set(schema["required"]) == set(schema["properties"])
    return required and schema["additionalProperties"] is False


def schema_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that an answer shall keep to."""
    return body["response_format"]["json_schema"]["schema"]
