"""Clients and planners that ask a server in this process, and answers for it to give."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr

from audiostory_core.llm.client import ChatClient, ChatServer, Patience, Question
from audiostory_core.planners.chat.answer import SHAPE
from audiostory_core.planners.chat.planner import Chat
from tests.support.chat_server import ChatHost

QUICK = Patience(connect_s=2.0, silence_s=2.0, answer_s=10.0, waits_s=(0.01, 0.02), rest_s=0.2)
SCHEMA = {
    "type": "object",
    "properties": {"said": {"type": "string"}},
    "required": ["said"],
    "additionalProperties": False,
}
QUESTION = Question([{"role": "system", "content": "Say something."}], SCHEMA)


@contextmanager
def client_of(
    host: ChatHost | str,
    patience: Patience = QUICK,
    model: str | None = None,
    key: str | None = None,
) -> Iterator[ChatClient]:
    url = host if isinstance(host, str) else host.url
    client = ChatClient(ChatServer(url, model, SecretStr(key) if key else None), patience)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def planner_of(host: ChatHost, **options: Any) -> Iterator[Chat]:
    with client_of(host, **options) as client:
        yield Chat(client)


def scene(caption: str, duration_s: float = 5.0, *layers: dict[str, str], tone: str = "calm"):
    return {"caption": caption, "duration_s": duration_s, "tone": tone, "layers": list(layers)}


def layer(kind: str, text: str, speaker: str = "", manner: str = "", **shape: Any):
    told = {"kind": kind, "text": text, "speaker": speaker, "manner": manner}
    return told | {"shape": dict.fromkeys(SHAPE) | shape if shape else None}


def plan_text(*scenes: dict[str, Any], **fields: Any) -> str:
    told = {"language": "en", "reasoning": "It begins and ends.", "cast": []} | fields
    return json.dumps(told | {"sub_events": list(scenes)}, ensure_ascii=False)
