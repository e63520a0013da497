"""The language model on a vLLM server: token ids go out, token ids and hidden states come back.

`audiostory llm serve` starts such a server. One of them serves all runs of all processes: it reads
their requests side by side and keeps what prefixes have in common.
"""

import base64
import threading
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import httpx
import safetensors.torch
import torch
from torch import Tensor
from transformers import Qwen2Config

from audiostory_core.errors import BadInput, LanguageModelAway
from audiostory_core.model.vllm.state_files import StateFolder, StatesLost
from audiostory_core.model.weights.tensor_files import read_safetensors

IN_FLIGHT = 64  # requests of a process at once; more wait here
CONNECT_S = 5.0
ANSWER_S = 300.0  # for 1,600 tokens on a busy server
STATES_S = 30.0  # for a file of states to be written, after the server announced it
WAITS_S = (0.25, 0.5, 1.0)  # before each further attempt; one more attempt than waits
SPARED_S = 2.0  # a server that is away gets no request again so soon
PASSING = (429, 500, 502, 503, 504)  # answers that may be others in a moment
NORM = "model.norm.weight"


def served_name(revision: str) -> str:
    """Return the name under which a server serves weights, so that others are never taken for them."""
    return f"audiostory-{revision[:12]}"


class VllmBackend:
    """A `Backend` on a server; for any number of threads.

    Equal ids give equal states but for rounding: what a server reads together, and what it has
    read before, differs from time to time.

    Args:
        url: of the server, such as http://127.0.0.1:8322.
        revision: of the weights that it has to serve.
        llm_folder: of the same weights, for the norm that follows the last layer.
        states: where the server writes states.
        pooling_url: of a second server of the same weights, which returns states over HTTP; used
            where a folder cannot be shared.
        waits_s: seconds before each further attempt.
    """

    def __init__(
        self,
        url: str,
        revision: str,
        llm_folder: Path,
        *,
        states: Path | None = None,
        pooling_url: str | None = None,
        waits_s: Sequence[float] = WAITS_S,
    ) -> None:
        self._server = _Server(url, served_name(revision), waits_s)
        self._folder = None if states is None else StateFolder(states)
        self._pooling = None
        if pooling_url is not None:
            self._pooling = _Server(pooling_url, served_name(revision), waits_s)
        self._norm = _Norm(llm_folder)

    @property
    def longest(self) -> int:
        """The most tokens that prompt and continuation may have together.

        Raises:
            BadInput: if the server serves other weights.
            LanguageModelAway: if it does not answer.
        """
        return self._server.longest - 1  # states come with one token more

    def close(self) -> None:
        """Close the connections."""
        self._server.close()
        if self._pooling is not None:
            self._pooling.close()

    def step(
        self,
        ids: Sequence[int],
        *,
        stop_ids: Collection[int],
        max_tokens: int,
        suppressed: Sequence[int] = (),
        is_parity: bool = False,
        draft: Sequence[int] = (),
        repetition_penalty: float = 1.0,
    ) -> list[int]:
        """Continue `ids` greedily, as `Backend.step` says.

        A server suppresses no hundreds of tokens at once: it is stopped at one of them, and the
        token that is chosen instead is looked up among the best.

        Raises:
            BadInput: if the server serves other weights, or in parity.
            LanguageModelAway: if it does not answer.
        """
        if is_parity:
            raise BadInput(
                "parity",
                is_parity,
                "cannot be had of a server",
                "Unset AUDIOSTORY_LLM_URL, and the language model is loaded in process.",
            )
        barred = frozenset(suppressed)
        writer = _TokenWriter(self._server, frozenset(stop_ids), barred, repetition_penalty)
        written: list[int] = []
        if draft and max_tokens:
            written = writer.write(ids, 1)
            if written == [draft[0]]:
                written = list(draft[:max_tokens])
            elif written[-1] in writer.stops:
                return written
        while len(written) < max_tokens:
            written += writer.write([*ids, *written], max_tokens - len(written))
            if written[-1] in writer.stops:
                break
        return written

    def states(self, ids: Sequence[int]) -> Tensor:
        """Return the last layer's states after the final norm, [N, H] in float32.

        Raises:
            BadInput: if the server serves other weights, or where it writes states is not known.
            LanguageModelAway: if it does not answer.
        """
        if self._folder is not None:
            return self._norm(self._from_folder(list(ids), self._folder))
        if self._pooling is not None:
            return self._from_pooling(list(ids), self._pooling)
        raise BadInput(
            "AUDIOSTORY_LLM_STATES",
            None,
            "is not set, nor is AUDIOSTORY_LLM_POOLING_URL",
            "Set what `audiostory llm serve` printed.",
        )

    def _from_folder(self, ids: list[int], folder: StateFolder) -> Tensor:
        """States before the norm, [N, H], of a file that the server writes."""
        lost = ""
        for _ in range(2):  # a server that died as it wrote, and was started again
            answer = self._server.post(
                "/v1/completions",
                {
                    "prompt": ids,
                    "max_tokens": 1,
                    "temperature": 0,
                    "repetition_penalty": 1.0,
                    "kv_transfer_params": {"audiostory_states": True},
                },
            )
            path = (answer.get("kv_transfer_params") or {}).get("hidden_states_path")
            if not isinstance(path, str):
                raise self._server.unexpected("returns no states")
            try:
                tensors = safetensors.torch.load(folder.take(path, STATES_S))
                read, states = tensors["token_ids"].tolist(), tensors["hidden_states"]
            except (StatesLost, safetensors.SafetensorError, KeyError) as error:
                lost = str(error)
                continue
            if read != ids or states.shape != (len(ids), 1, self._norm.width):
                raise self._server.unexpected("returns the states of other tokens")
            return states[:, 0].float()
        raise LanguageModelAway(self._server.url, f"did not hand over its states: {lost}")

    def _from_pooling(self, ids: list[int], server: "_Server") -> Tensor:
        """States after the norm, [N, H], in the answer of a pooling server."""
        answer = server.post(
            "/pooling",
            {
                "input": ids,
                "task": "token_embed",
                "encoding_format": "base64",
                "embed_dtype": "float32",
            },
        )
        try:
            content = bytearray(base64.b64decode(answer["data"][0]["data"]))
            states = torch.frombuffer(content, dtype=torch.float32)
            return states.reshape(len(ids), self._norm.width)
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            raise server.unexpected("returns no states") from error


class _TokenWriter:
    """Writes tokens by requests that stop at stop ids, and at what must not be chosen."""

    def __init__(
        self, server: "_Server", stops: frozenset[int], barred: frozenset[int], penalty: float
    ) -> None:
        self.stops = stops
        self._server = server
        self._barred = barred
        self._penalty = penalty

    def write(self, ids: Sequence[int], max_tokens: int) -> list[int]:
        """Continue up to a stop id, or to the first token that another would have been chosen for."""
        token_ids = self._complete(ids, max_tokens)["token_ids"]
        if not token_ids or (
            len(token_ids) < max_tokens and token_ids[-1] not in self.stops | self._barred
        ):
            raise LanguageModelAway(self._server.url, "broke off its answer")
        if token_ids[-1] in self._barred:
            token_ids[-1] = self._second_best([*ids, *token_ids[:-1]])
        return [int(token) for token in token_ids]

    def _second_best(self, ids: Sequence[int]) -> int:
        """Return the most probable token that may be chosen; of equal ones the first."""
        options = {"logprobs": len(self._barred) + 1, "return_tokens_as_token_ids": True}
        try:
            candidates = self._complete(ids, 1, **options)["logprobs"]["top_logprobs"][0]
            logprobs = {
                int(name.removeprefix("token_id:")): value for name, value in candidates.items()
            }
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise self._server.unexpected("tells no probabilities") from error
        free = {token: value for token, value in logprobs.items() if token not in self._barred}
        if not free:
            raise self._server.unexpected("tells too few probabilities")
        return min(free, key=lambda token: (-free[token], token))

    def _complete(self, ids: Sequence[int], max_tokens: int, **more: Any) -> dict[str, Any]:
        answer = self._server.post(
            "/v1/completions",
            {
                "prompt": list(ids),
                "max_tokens": max_tokens,
                "temperature": 0,
                "repetition_penalty": self._penalty,
                "ignore_eos": True,  # it is among the stop ids where it is one
                "stop_token_ids": sorted(self.stops | self._barred),
                "return_token_ids": True,
                "skip_special_tokens": False,
                **more,
            },
        )
        choices = answer.get("choices") or [{}]
        choice: dict[str, Any] = choices[0]
        if not isinstance(choice.get("token_ids"), list):
            raise self._server.unexpected("returns no token ids")
        return choice


class _Norm:
    """Qwen2's norm after the last layer: what a server hands out is from before it."""

    def __init__(self, llm_folder: Path) -> None:
        config = Qwen2Config.from_pretrained(llm_folder, local_files_only=True)
        shards = (read_safetensors(path) for path in sorted(llm_folder.glob("model*.safetensors")))
        weight = next(shard[NORM] for shard in shards if NORM in shard)
        self._weight = weight.float().clone()
        self._epsilon = config.rms_norm_eps

    @property
    def width(self) -> int:
        """H."""
        return self._weight.shape[0]

    def __call__(self, states: Tensor) -> Tensor:
        """[N, H] to [N, H], in float32. Source: Zhang, Sennrich 2019, arXiv:1910.07467."""
        mean_square = states.square().mean(-1, keepdim=True)
        return self._weight * (states * torch.rsqrt(mean_square + self._epsilon))


class _Server:
    """Asks a server patiently, and no more at once than it is good for."""

    def __init__(self, url: str, model: str, waits_s: Sequence[float]) -> None:
        self.url = url
        self._model = model
        self._waits_s = waits_s
        self._turns = threading.BoundedSemaphore(IN_FLIGHT)
        self._longest: int | None = None
        self._spared_until = 0.0
        self._http = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=IN_FLIGHT),
            trust_env=False,  # no proxy between a studio and its own server
        )

    @property
    def longest(self) -> int:
        """The most tokens that the server reads and writes together."""
        if self._longest is None:
            self._longest = self._find_model()
        return self._longest

    def close(self) -> None:
        self._http.close()

    def post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        """Send a request, and repeat it where that may help; the answer is a JSON object."""
        if self._longest is None:
            self._longest = self._find_model()
        return self._ask("POST", path, {"model": self._model} | content)

    def unexpected(self, problem: str) -> BadInput:
        """The server is another than it should be."""
        return BadInput(
            "AUDIOSTORY_LLM_URL",
            self.url,
            problem,
            "Start the server by `audiostory llm serve` with these weights.",
        )

    def _find_model(self) -> int:
        answer = self._ask("GET", "/v1/models", None)
        lengths = {model.get("id"): model.get("max_model_len") for model in answer.get("data", ())}
        longest = lengths.get(self._model)
        if not isinstance(longest, int):
            raise self.unexpected(f"serves {', '.join(map(str, lengths))}, not {self._model}")
        return longest

    def _ask(self, method: str, path: str, content: dict[str, Any] | None) -> dict[str, Any]:
        if time.monotonic() < self._spared_until:
            raise LanguageModelAway(self.url, "does not answer")
        problem = ""
        for wait_s in (0.0, *self._waits_s):
            time.sleep(wait_s)
            try:
                with self._turns:
                    answer = self._http.request(method, path, json=content)
            except httpx.ReadTimeout:
                problem = f"did not answer within {ANSWER_S:g} s"
                break
            except httpx.RequestError as error:
                problem = f"cannot be reached ({error})"
                continue
            if answer.status_code in PASSING:
                problem = f"answers with status {answer.status_code}"
                continue
            return self._read(answer)
        self._spared_until = time.monotonic() + SPARED_S
        self._longest = None  # the server that comes back may serve other weights
        raise LanguageModelAway(self.url, problem)

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            payload = answer.json()
        except ValueError:
            payload = None
        if answer.is_success and isinstance(payload, dict):
            return payload
        self._longest = None
        reason = payload.get("error", payload) if isinstance(payload, dict) else answer.text
        if isinstance(reason, dict):
            reason = reason.get("message", reason)
        raise self.unexpected(f"answers with status {answer.status_code}: {str(reason)[:200]}")
