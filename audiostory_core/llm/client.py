"""A client of one OpenAI-compatible chat endpoint: vLLM, llama.cpp, Ollama, or a hosted one.

Source: https://platform.openai.com/docs/api-reference/chat, and what vLLM 0.32 makes of it.
Differs: a server that refuses JSON schemas gets a request for a JSON object, and one that refuses
this, too, for plain text; which one it takes is remembered.
"""

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from threading import BoundedSemaphore
from typing import Any, NoReturn, TypeVar

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from audiostory_core.errors import BadInput, LanguageModelAway
from audiostory_core.llm.circuit import Circuit
from audiostory_core.llm.stream import Answer, BrokenOff, Unusable

Message = Mapping[str, Any]
OnText = Callable[[str | None], None]  # None: what came before does not count, it begins anew

FORMS = ("json_schema", "json_object", "text")
NOT_TAKEN = frozenset({400, 422, 501})  # a request that the server does not take as it is
LOCKED = frozenset({401, 403})
PASSING = frozenset({408, 409, 425, 429})  # and 5xx: worth another attempt
REDIRECTS = range(300, 400)
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
SUFFIX = "/chat/completions"
MAX_REASON = 300  # characters of what a server says of an error
MAX_ERROR_BYTES = 1 << 16
MAX_MODELS = 8  # named in an error
JITTER = 0.25

_T = TypeVar("_T")
_KEY = re.compile(r"[\x21-\x7e]{1,4096}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")


@dataclass(frozen=True)
class ChatServer:
    """Address, key and model of a server."""

    url: str  # up to and with /v1
    model: str | None = None  # None: the only one that the server has
    key: SecretStr | None = None
    setting: str = "AUDIOSTORY_CHAT"  # what the settings' names begin with, for errors


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for, in seconds, and how often a request is repeated."""

    connect_s: float = 10.0
    silence_s: float = 180.0  # without a byte; the first may wait for others' answers
    answer_s: float = 1200.0  # for a whole answer
    waits_s: tuple[float, ...] = (0.5, 2.0, 8.0)  # before each further attempt
    longest_wait_s: float = 60.0  # that an answer may ask for
    failures: int = 5  # in a row, after which the server is left alone
    rest_s: float = 15.0
    in_flight: int = 4  # requests at once
    line_s: float = 600.0  # for others' requests to end


def once() -> Patience:
    """Return how long a server is waited for that is only looked at."""
    return Patience(connect_s=3.0, silence_s=5.0, answer_s=5.0, waits_s=())


class _Failed(Exception):
    """An attempt failed, and another one may not."""

    def __init__(
        self,
        problem: str,
        wait_s: float = 0.0,
        *,
        is_worth_another: bool = True,
        is_down: bool = True,
    ) -> None:
        self.problem = problem
        self.wait_s = wait_s
        self.is_worth_another = is_worth_another
        self.is_down = is_down
        super().__init__(problem)


class _Refused(Exception):
    """The server does not take the request; the message is the server's."""


class _Listed(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Listed]


@dataclass(frozen=True)
class _Capabilities:
    """What this server accepts, as far as is known."""

    form: int = 0  # index of FORMS
    temperature: bool = True


@dataclass(frozen=True)
class Question:
    """What a model has to answer, and in which form."""

    messages: Sequence[Message]
    schema: Mapping[str, Any]  # of the answer, a JSON object
    name: str = "answer"  # of the schema
    on_text: OnText | None = field(default=None, compare=False)


class ChatClient:
    """Asks a model for JSON; may be used by several threads at once.

    Args:
        server: which one.
        patience: with it.

    Raises:
        BadInput: if the URL or the key cannot be one.
    """

    def __init__(self, server: ChatServer, patience: Patience | None = None) -> None:
        self._server = server
        self._patience = patience or Patience()
        self._url = _checked_url(server)
        self._model = server.model
        self._learned = _Capabilities()
        self._circuit = Circuit(self._patience.failures, self._patience.rest_s)
        self._slots = BoundedSemaphore(self._patience.in_flight)
        headers = {"Accept-Encoding": "identity"}  # so that what is counted is what comes
        if server.key is not None:
            headers["Authorization"] = f"Bearer {_checked_key(server)}"
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(self._patience.silence_s, connect=self._patience.connect_s),
            limits=httpx.Limits(max_keepalive_connections=0),  # a kept one may be dead
            trust_env=self._url.host not in LOCAL_HOSTS,
        )

    def __repr__(self) -> str:
        return f"ChatClient({self.where}, {self._model})"

    @property
    def where(self) -> str:
        """The address, without anything secret."""
        return str(self._url)

    def close(self) -> None:
        """Close what is open."""
        self._http.close()

    def ask(self, question: Question) -> str:
        """Return the text of the model's answer, which should be a JSON object.

        Raises:
            BadInput: naming the setting, if the key, the model or the address is wrong.
            LanguageModelAway: if the server cannot be reached, is overloaded or fails.
            Unusable: if the answer is a refusal, cut off, or none.
        """
        with self._slot():
            model, trial = self.model(), self._learned
            while True:
                body = _body(question, model, trial)
                try:
                    text = self._persist(partial(self._post, body, question.on_text))
                except _Refused as error:
                    trial = self._weaker(trial, str(error))
                else:
                    self._learned = trial
                    return text

    def _weaker(self, trial: "_Capabilities", reason: str) -> "_Capabilities":
        """Return what to request after a server has refused a request."""
        if trial.temperature and "temperature" in reason:
            return replace(trial, temperature=False)
        if trial.form + 1 < len(FORMS):
            return replace(trial, form=trial.form + 1)
        raise BadInput(
            f"{self._server.setting}_URL",
            self.where,
            f"does not take the request: {reason or 'no reason given'}",
            "See what the server and the model can do.",
        )

    def model(self) -> str:
        """Return the model's name: the one that is set, else the only one that the server has.

        Raises:
            BadInput: if none is set and there is not exactly one.
            LanguageModelAway: if the server cannot be reached.
        """
        if self._model is None:
            names = self.list_models()
            if len(names) != 1:
                raise BadInput(f"{self._server.setting}_MODEL", None, "is not set", _one_of(names))
            self._model = names[0]
        return self._model

    def list_models(self) -> list[str]:
        """Return the names of the models that the server has.

        Raises:
            BadInput: naming the setting, if the key or the address is wrong.
            LanguageModelAway: if the server cannot be reached.
        """
        return self._persist(self._get_models)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=self._patience.line_s):
            raise self._unavailable("has too many requests of ours to answer")
        try:
            yield
        finally:
            self._slots.release()

    def _persist(self, attempt: Callable[[], _T]) -> _T:
        """Attempt something until it is done, or not worth another attempt."""
        waits_s: list[float] = [*self._patience.waits_s]
        problem = "has failed"
        while True:
            rest_s = self._circuit.enter()
            if rest_s:
                reason = f"{problem}, {self._patience.failures} times in a row or more"
                raise self._unavailable(f"{reason}; it is left alone for {rest_s:.0f} s")
            try:
                done = attempt()
            except _Failed as failed:
                problem = failed.problem
                if failed.is_down:
                    self._circuit.fail()
                if not waits_s or not self._is_bearable(failed):
                    raise self._unavailable(problem) from failed
                pause_s = waits_s.pop(0) * (1 + JITTER * random.random())
                time.sleep(max(pause_s, failed.wait_s))
            except (_Refused, Unusable, BadInput):
                self._circuit.succeed()
                raise
            else:
                self._circuit.succeed()
                return done

    def _is_bearable(self, failed: _Failed) -> bool:
        return failed.is_worth_another and failed.wait_s <= self._patience.longest_wait_s

    def _post(self, body: Mapping[str, Any], on_text: OnText | None) -> str:
        if on_text is not None:
            on_text(None)
        answer = Answer(on_text)
        with self._request("POST", SUFFIX, body) as response:
            pieces = self._timed(response)
            if "event-stream" in response.headers.get("content-type", ""):
                return answer.read_stream(pieces)
            return answer.read_whole(pieces)

    def _get_models(self) -> list[str]:
        with self._request("GET", "/models") as response:
            content = b"".join(self._timed(response, most=MAX_ERROR_BYTES * 16))
        try:
            return [model.id for model in _Models.model_validate_json(content).data]
        except ValidationError:
            self._not_a_server("does not list its models")

    @contextmanager
    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Iterator[httpx.Response]:
        """Send a request; all errors are raised as this module's own."""
        try:
            with self._http.stream(method, f"{self.where}{path}", json=body) as response:
                if response.status_code != httpx.codes.OK:
                    self._explain(response, body)
                yield response
        except httpx.ConnectTimeout as error:
            raise _Failed("cannot be reached in time") from error
        except httpx.TimeoutException as error:
            raise _Failed("is silent for too long", is_worth_another=False) from error
        except httpx.ConnectError as error:
            raise _Failed("cannot be reached") from error
        except httpx.RequestError as error:
            raise _Failed("broke off the connection") from error
        except BrokenOff as error:
            raise _Failed(str(error)) from error

    def _timed(self, response: httpx.Response, most: int | None = None) -> Iterator[bytes]:
        """Yield the body as it comes, as long as it may take."""
        deadline = time.monotonic() + self._patience.answer_s
        length = 0
        for piece in response.iter_raw():
            length += len(piece)
            if most is not None and length > most:
                self._not_a_server("answers at too great a length")
            yield piece
            if time.monotonic() > deadline:
                problem = f"does not end its answer within {self._patience.answer_s:g} s"
                raise _Failed(problem, is_worth_another=False)

    def _explain(self, response: httpx.Response, body: Mapping[str, Any] | None) -> NoReturn:
        status, setting = response.status_code, self._server.setting
        reason = self._error_text(response)
        if status in LOCKED:
            problem = "is not accepted" if self._server.key else "is needed"
            raise BadInput(
                f"{setting}_KEY",
                "(not shown)" if self._server.key else None,
                f"{problem} by {self.where}, which answers {status}",
                "Set the key that this server wants.",
            )
        if status in NOT_TAKEN and body is not None:
            raise _Refused(reason)
        is_down = status >= httpx.codes.INTERNAL_SERVER_ERROR
        if status in PASSING or is_down:
            wait_s = _retry_after_s(response)
            raise _Failed(f"answers {status}: {reason}", wait_s, is_down=is_down)
        if status == httpx.codes.NOT_FOUND and body is not None:
            names = self._get_models()
            if self._server.model is None and body["model"] not in names:
                self._model = None  # looked up again: the server came back with another one
                raise _Failed("has another model now", is_worth_another=False, is_down=False)
            raise BadInput(
                f"{setting}_MODEL",
                body["model"],
                f"is not known to {self.where}",
                _one_of(names),
            )
        moved = " with a redirect" if status in REDIRECTS else f" {status}: {reason}"
        self._not_a_server(f"answers{moved}")

    def _not_a_server(self, problem: str) -> NoReturn:
        raise BadInput(
            f"{self._server.setting}_URL",
            self.where,
            problem,
            "Name the address of an OpenAI-compatible server, such as http://localhost:8000/v1.",
        )

    def _error_text(self, response: httpx.Response) -> str:
        """Return what a server says of an error, in one short line without our key."""
        body = b""
        for piece in response.iter_raw():
            body += piece
            if len(body) > MAX_ERROR_BYTES:
                break
        text = body[:MAX_ERROR_BYTES].decode("utf-8", "replace")
        detail: Any = text
        with suppress(ValueError, RecursionError):
            detail = json.loads(text)
        for name in ("error", "message", "detail"):
            detail = detail.get(name, detail) if isinstance(detail, dict) else detail
        line = _CONTROL.sub(" ", detail if isinstance(detail, str) else text).strip()
        if self._server.key is not None:
            line = line.replace(self._server.key.get_secret_value(), "…")
        return line[:MAX_REASON]

    def _unavailable(self, problem: str) -> LanguageModelAway:
        return LanguageModelAway(self.where, problem, "Try again when it is back.")


def _body(question: Question, model: str, taken: _Capabilities) -> Mapping[str, Any]:
    schema, messages, form = question.schema, list(question.messages), FORMS[taken.form]
    body: dict[str, Any] = {"model": model, "stream": True}
    if form == "json_schema":
        named_schema = {"name": question.name, "schema": schema, "strict": True}
        body["response_format"] = {"type": form, "json_schema": named_schema}
    else:
        first, *others = messages
        request = "Answer with one JSON object and nothing else. It keeps to this JSON schema:"
        content = f"{first['content']}\n\n{request}\n{json.dumps(schema, ensure_ascii=False)}"
        messages = [{**first, "content": content}, *others]
    if form == "json_object":
        body["response_format"] = {"type": form}
    if taken.temperature:
        body["temperature"] = 0.0
    return {**body, "messages": messages}


def _checked_url(server: ChatServer) -> httpx.URL:
    name = f"{server.setting}_URL"
    remedy = "Give an address such as http://localhost:8000/v1."
    shown = re.sub(r"//[^/@]*@", "//…@", server.url).partition("?")[0]
    try:
        url = httpx.URL(server.url.strip())
    except httpx.InvalidURL as error:
        raise BadInput(name, shown, "is not an address", remedy) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise BadInput(name, shown, "is not an http or https address", remedy)
    if url.userinfo or url.query or url.fragment:
        raise BadInput(
            name, shown, "has more than an address", f"Put the key into {server.setting}_KEY."
        )
    path = url.path.rstrip("/").removesuffix(SUFFIX) or "/v1"
    return url.copy_with(path=path)


def _checked_key(server: ChatServer) -> str:
    key = server.key.get_secret_value().strip() if server.key else ""
    if not _KEY.fullmatch(key):
        raise BadInput(
            f"{server.setting}_KEY",
            "(not shown)",
            "is empty or has a character that no key has",
            "Copy it once more.",
        )
    return key


def _one_of(names: Sequence[str]) -> str:
    if not names:
        return "Name the model; the server lists none."
    more = ", …" if len(names) > MAX_MODELS else ""
    return f"Use one of: {', '.join(name[:100] for name in names[:MAX_MODELS])}{more}."


def _retry_after_s(response: httpx.Response) -> float:
    """Return how long a server wants to be left alone: it says so in seconds or as a date."""
    value = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
