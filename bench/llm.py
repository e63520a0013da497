"""The language model, served: what a story costs, several at once, by three ways in one run.

    python -m bench.llm [--weights FOLDER] [--at-once 1 8 32] [--times 3]
    python -m bench.llm --weights FOLDER --url http://127.0.0.1:8330 --states FOLDER

*published* is the release's loop: stock `generate`, one pass per token, in this process.
*transformers* is `decoding.tell`, then `decoding.read_window` of what it told, in this process.
*vLLM* is the same on `audiostory llm serve`, which is started here, or runs at `--url`.

All take turns with the same stories. In this process "at once" means one after the other; of vLLM
so many threads ask. Every story is new to the server when it is planned, and is conditioned right
after. Without `--weights` a tiny checkpoint is trained first, for a minute or two.

Per story: *requests* to a backend; *prefill*, tokens of prompts that were read; *cached*, tokens of
prompts that had been read before; *decoded*, tokens that were chosen one by one. Processor time is
that of this process and of the server's, but of this process alone with `--url`. Ratios are to the
published loop with the same stories; it cannot read what is told already, so conditioning is compared
with its writing.
"""

import argparse
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx
import psutil
import torch
from torch import Tensor
from transformers import Qwen2ForCausalLM

from audiostory_core.model.generation import Window, generate, read_window, window_of
from audiostory_core.model.grammar import Generation, Written, prompt_ids
from audiostory_core.model.llm import Backend, LanguageModel
from audiostory_core.model.tiny.checkpoint import write_tiny
from audiostory_core.model.tiny.stories import draw_story
from audiostory_core.model.vllm.client import VllmBackend
from audiostory_core.model.vocabulary import Vocabulary
from audiostory_core.model.weights.loading import Weights, open_weights
from bench.interleave import Bench
from tests.support.language_server import LanguageServer

SEED = 5
SETTLE_S = 0.1  # for the server's counters
COUNTER = re.compile(r"^vllm:(\w+?)_total\{[^}]*\} (\S+)$", re.MULTILINE)
HEAD = (
    "at once | work | way | requests | prefill | cached | decoded "
    "| wall | processor | × wall | × processor"
)

Asked = TypeVar("Asked")
Told = TypeVar("Told")


@dataclass(frozen=True)
class Cost:
    """What stories took; as counted since something began, or of one story."""

    requests: float = 0
    prefill: float = 0
    cached: float = 0
    decoded: float = 0
    seconds: float = 0
    processor_s: float = 0

    def since(self, before: "Cost", stories: int) -> "Cost":
        """Per story, after `before`."""
        pairs = zip(astuple(self), astuple(before), strict=True)
        return Cost(*((now - then) / stories for now, then in pairs))


class Published:
    """The release's loop."""

    def __init__(self, model: Qwen2ForCausalLM, vocabulary: Vocabulary) -> None:
        self._loop = Bench(model, vocabulary, draw_story(random.Random(SEED)), is_dictated=False)
        self._counted = Cost()

    def plan(self, prompts: Sequence[list[int]]) -> list[tuple[int, ...]]:
        """What is written after each prompt."""
        told = []
        for prompt in prompts:
            self._loop.prompt = prompt
            told.append(tuple(self._loop.published()[0]))
        tokens = sum(map(len, told))
        before = self._counted
        self._counted = Cost(
            before.requests + len(prompts),
            before.prefill + sum(map(len, prompts)),
            decoded=before.decoded + tokens,
        )
        return told

    def count(self) -> Cost:
        """Counted since it was made."""
        return self._counted


class Counted:
    """A `Backend` that is a language model of this process, and counts as a server does."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._requests = self._asked = self._decoded = self._first = 0
        self.longest = model.longest

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
        """Be `Backend.step`."""
        told = self._model.step(
            ids,
            stop_ids=stop_ids,
            max_tokens=max_tokens,
            suppressed=suppressed,
            is_parity=is_parity,
            draft=draft,
            repetition_penalty=repetition_penalty,
        )
        self._requests += 1
        self._asked += len(ids)
        self._decoded += len(told)
        self._first += 1  # token of a continuation is chosen by the pass that reads the prompt
        return told

    def states(self, ids: Sequence[int]) -> Tensor:
        """Be `Backend.states`."""
        self._requests += 1
        self._asked += len(ids)
        return self._model.states(ids)

    def count(self) -> Cost:
        """Counted since it was made."""
        prefill = self._model.tokens_read - (self._decoded - self._first)
        return Cost(self._requests, prefill, self._asked - prefill, self._decoded)


class Served:
    """A `Backend` on a server, and the server's own counters."""

    def __init__(self, url: str, weights: Weights, states: Path, pid: int | None) -> None:
        self.backend = VllmBackend(url, weights.revision, weights.llm_folder, states=states)
        self._url = url
        self._pid = pid

    def count(self) -> Cost:
        """Counted since the server started."""
        found: dict[str, float] = {}
        text = httpx.get(f"{self._url}/metrics", timeout=60, trust_env=False).text
        for name, value in COUNTER.findall(text):
            found[name] = found.get(name, 0) + float(value)
        cached = found["prompt_tokens_cached"]
        prefill = found["prompt_tokens"] - cached
        return Cost(found["request_success"], prefill, cached, found["generation_tokens"])

    def worked_s(self) -> float:
        """Processor time so far, of this process and of the server's."""
        worked = time.process_time()
        if self._pid is not None:
            first = psutil.Process(self._pid)
            for process in (first, *first.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    worked += times.user + times.system
        return worked


@dataclass
class Way:
    """One of the three.

    Args:
        name: of its rows.
        count: tells what was counted so far.
        worked_s: tells the processor time so far.
        settle_s: seconds until the count is right.
    """

    name: str
    count: Callable[[], Cost]
    worked_s: Callable[[], float] = time.process_time
    settle_s: float = 0.0

    def measure(self, run: Callable[[], list[Told]]) -> tuple[list[Told], Cost]:
        """What `run` returns, and what each story of it took."""
        time.sleep(self.settle_s)
        before = self.count()
        started, worked = time.perf_counter(), self.worked_s()
        told = run()
        worked_s, seconds = self.worked_s() - worked, time.perf_counter() - started
        time.sleep(self.settle_s)
        each = self.count().since(before, len(told))
        return told, replace(each, seconds=seconds / len(told), processor_s=worked_s / len(told))


class Comparison:
    """Three ways through the same stories, for any number of them at once."""

    def __init__(self, weights: Weights, vocabulary: Vocabulary, served: Served) -> None:
        model = Qwen2ForCausalLM.from_pretrained(weights.llm_folder).eval()
        self._vocabulary = vocabulary
        self._published = Published(model, vocabulary)
        self._ours = Counted(LanguageModel(model))
        self._served = served
        self._chance = random.Random(SEED)
        self.agreed = self.compared = 0
        self.largest = 0.0

    def run(self, at_once: int) -> dict[tuple[str, str], Cost]:
        """Cost of one story, by work and way."""
        words = self._vocabulary
        prompts = [prompt_ids(words, draw_story(self._chance).instruction) for _ in range(at_once)]
        costs = {}
        published = Way("published", self._published.count)
        written, costs["planning", "published"] = published.measure(
            partial(self._published.plan, prompts)
        )
        states: list[list[Tensor]] = []
        for way, backend, threads in (
            (Way("transformers", self._ours.count), self._ours, 1),
            (
                Way("vLLM", self._served.count, self._served.worked_s, SETTLE_S),
                self._served.backend,
                at_once,
            ),
        ):
            with ThreadPoolExecutor(threads) as pool:
                told, costs["planning", way.name] = way.measure(
                    partial(_each, pool, partial(generate, backend, words), prompts)
                )
                windows = [self._window(*pair) for pair in zip(prompts, told, strict=True)]
                read, costs["conditioning", way.name] = way.measure(
                    partial(_each, pool, partial(_read, backend), windows)
                )
            states.append(read)
            self.compared += at_once
            pairs = zip(written, told, strict=True)
            self.agreed += sum(ids == generation.ids for ids, generation in pairs)
        for one, other in zip(*states, strict=True):
            if one.shape == other.shape:
                self.largest = max(self.largest, float((one - other).abs().max()))
        return costs

    def _window(self, prompt: list[int], generation: Generation) -> Window:
        scenes = [
            Written(segment.caption, segment.duration_s, segment.caption_ids)
            for segment in generation.segments
            if segment.duration_s is not None
        ]
        return window_of(
            self._vocabulary,
            prompt,
            generation.reasoning_ids,
            (),
            scenes,
            longest=self._served.backend.longest,
        )


def _each(
    pool: ThreadPoolExecutor, run: Callable[[Asked], Told], asked: Iterable[Asked]
) -> list[Told]:
    return list(pool.map(run, asked))


def _read(backend: Backend, window: Window) -> Tensor:
    return torch.cat([part for states in read_window(backend, window) for part in states])


def show(at_once: int, rounds: Sequence[dict[tuple[str, str], Cost]]) -> None:
    """Print the medians of some rounds."""
    for work, way in rounds[0]:
        each = [costs[work, way] for costs in rounds]
        base = [costs["planning", "published"] for costs in rounds]
        both = list(zip(base, each, strict=True))
        cost = Cost(*map(statistics.median, zip(*map(astuple, each), strict=True)))
        faster = statistics.median(slow.seconds / one.seconds for slow, one in both)
        lighter = statistics.median(slow.processor_s / one.processor_s for slow, one in both)
        print(
            f"| {at_once} | {work} | {way} | {cost.requests:.1f} | {cost.prefill:,.0f} "
            f"| {cost.cached:,.0f} | {cost.decoded:,.0f} | {1000 * cost.seconds:,.0f} ms "
            f"| {1000 * cost.processor_s:,.0f} ms | {faster:.1f} | {lighter:.1f} |",
            flush=True,
        )


def compare(given: argparse.Namespace, home: Path) -> None:
    """Print the table, with a server that lives as long."""
    folder: Path | None = given.weights
    if folder is None:
        folder = home / "tiny"
        write_tiny(folder)
    weights = open_weights(folder, home)
    vocabulary = Vocabulary.load(weights.llm_folder)
    started = time.perf_counter()
    server = None if given.url else LanguageServer.start(weights.folder, home / "server")
    print(f"server up after {time.perf_counter() - started:.0f} s")
    try:
        if server is None:
            served = Served(given.url, weights, given.states, None)
        else:
            served = Served(server.url, weights, server.states, server.pid)
        comparison = Comparison(weights, vocabulary, served)
        comparison.run(2)  # untimed: whatever libraries do once
        print(f"\n| {HEAD} |\n{'|---' * 11}|")
        for at_once in given.at_once:
            times = max(1, min(given.times, 8 * given.times // at_once))
            show(at_once, [comparison.run(at_once) for _ in range(times)])
        served.backend.close()
    finally:
        if server is not None:
            server.stop()
    print(
        f"\n{comparison.agreed} of {comparison.compared} tellings are those of the published loop; "
        f"largest difference of states, vLLM to transformers: {comparison.largest:.1e}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, help="converted, or as published")
    parser.add_argument("--url", help="of a running server of the same weights")
    parser.add_argument("--states", type=Path, help="where that server hands over states")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--times", type=int, default=3, help="fewer of many stories at once")
    parser.add_argument("--threads", type=int, default=1, help="of torch in this process")
    given = parser.parse_args()
    if given.url and not (given.weights and given.states):
        parser.error("--url needs --weights and --states")
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as home:
        compare(given, Path(home))


if __name__ == "__main__":
    main()
