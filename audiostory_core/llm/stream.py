"""What comes back from a chat endpoint: server-sent events, or one JSON object.

Only what is read is in the types; servers add more. Nothing here is trusted to be short.
"""

from collections.abc import Callable, Iterable, Iterator

from pydantic import BaseModel, JsonValue, ValidationError

LONGEST_ANSWER = 200_000  # characters of text
LONGEST_BODY = 32 << 20  # bytes; a chunk of a few letters has a frame of hundreds
LONGEST_LINE = 4 << 20  # bytes
_DONE = "[DONE]"


class Unusable(Exception):
    """The model has answered, but not with what was requested.

    Args:
        problem: what is wrong with the answer, a predicate without a full stop.
        text: of the answer, as far as it came.
        is_refusal: whether the model said that it will not.
    """

    def __init__(self, problem: str, text: str = "", *, is_refusal: bool = False) -> None:
        self.problem = problem
        self.text = text
        self.is_refusal = is_refusal
        super().__init__(problem)


class BrokenOff(Exception):
    """The answer ended before it was complete, for a reason of the server's."""


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    delta: _Message | None = None  # of a stream
    message: _Message | None = None  # of a whole answer
    finish_reason: str | None = None


class _Chunk(BaseModel):
    choices: list[_Choice] = []
    error: JsonValue = None


class Answer:
    """The text of one answer, as it comes in.

    Args:
        on_text: called with every piece of text.
    """

    def __init__(self, on_text: Callable[[str], None] | None = None) -> None:
        self._on_text = on_text
        self._pieces: list[str] = []
        self._refusal = ""
        self._length = 0
        self._finish: str | None = None

    @property
    def text(self) -> str:
        """What has come so far."""
        return "".join(self._pieces)

    def read_stream(self, body: Iterable[bytes]) -> str:
        """Return the text of server-sent events.

        Raises:
            Unusable: if it is not an answer, or not a whole one.
            BrokenOff: if the server stops before the end.
        """
        for payload in _payloads(body):
            if payload == _DONE:
                return self._whole()
            self._take(payload)
        if self._finish is None:
            raise BrokenOff("ended its answer in the middle")
        return self._whole()

    def read_whole(self, body: Iterable[bytes]) -> str:
        """Return the text of an answer that is one JSON object.

        Raises:
            Unusable: if it is not an answer, or not a whole one.
            BrokenOff: if the server reports an error instead.
        """
        self._take(b"".join(_measured(body)))
        return self._whole()

    def _take(self, payload: str | bytes) -> None:
        try:
            chunk = _Chunk.model_validate_json(payload)
        except ValidationError as error:
            raise Unusable("is not of the chat protocol", self.text) from error
        if chunk.error is not None:
            raise BrokenOff("told of an error in the middle of its answer")
        for choice in chunk.choices[:1]:
            message = choice.delta or choice.message or _Message()
            self._refusal += (message.refusal or "")[:1000]
            self._add(message.content or "")
            self._finish = choice.finish_reason or self._finish

    def _add(self, piece: str) -> None:
        if not piece:
            return
        self._length += len(piece)
        if self._length > LONGEST_ANSWER:
            raise Unusable(f"does not end within {LONGEST_ANSWER:,} characters", self.text)
        self._pieces.append(piece)
        if self._on_text is not None:
            self._on_text(piece)

    def _whole(self) -> str:
        text = self.text
        if self._refusal or self._finish == "content_filter":
            refusal = " ".join(self._refusal.split())[:200]
            raise Unusable(
                f"is a refusal: {refusal}" if refusal else "is a refusal", is_refusal=True
            )
        if self._finish == "length":
            raise Unusable(f"was cut off after {len(text):,} characters", text)
        if not text.strip():
            raise Unusable("is empty")
        return text


def _measured(body: Iterable[bytes]) -> Iterator[bytes]:
    length = 0
    for piece in body:
        length += len(piece)
        if length > LONGEST_BODY:
            raise Unusable(f"does not end within {LONGEST_BODY:,} bytes")
        yield piece


def _payloads(body: Iterable[bytes]) -> Iterator[str]:
    """Yield the data of each server-sent event; a chat has one line of it in an event."""
    rest = b""
    for piece in _measured(body):
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > LONGEST_LINE:
            raise Unusable("is not of the chat protocol")
        yield from filter(None, map(_data, lines))
    if last := _data(rest):
        yield last


def _data(line: bytes) -> str:
    name, _, value = line.decode("utf-8", "replace").partition(":")
    return value.strip() if name == "data" else ""
