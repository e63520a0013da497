"""An engine that runs in a host; nodes and jobs know no difference."""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiostory_core.engines.card import Card, Environment
from audiostory_core.engines.host.child import CHANNELS, SAMPLE_BYTES
from audiostory_core.engines.host.process import (
    LOOK_S,
    HostProcess,
    Rubbish,
    plain,
    wait_and,
)
from audiostory_core.engines.protocol import (
    UNWATCHED,
    Capabilities,
    ClipRequest,
    ClipResult,
    Condition,
    ProgressListener,
)
from audiostory_core.errors import Cancelled, EngineFailed
from audiostory_core.stem import Stem
from audiostory_core.story.plan import StoryPlan

CHILD = Path(__file__).with_name("child.py")
CANCEL_S = 2.0  # for an engine to stop by itself
MAX_CONDITION = 1 << 30  # bytes of the conditions of one part
NO_CONDITION = Condition(b"{}")
REPORTS = ("matched", "unmatched", "warnings")


class HostedEngine:
    """Has a child process make clips; implements `Engine`.

    The process starts with the first batch. One that dies, hangs or writes rubbish costs that
    batch only: the next one starts another.

    Args:
        card: of the engine; it names an environment and a revision.
        python: starts the engine's interpreter.
        environment: variables of the process.
        weights: folder of the engine's weights, if it has any.
    """

    def __init__(
        self,
        card: Card,
        python: Sequence[str],
        environment: Mapping[str, str],
        weights: Path | None = None,
    ) -> None:
        assert card.environment is not None
        assert card.revision is not None
        self._card = card
        self._patience: Environment = card.environment
        self._command = [*python, str(CHILD), str(card.folder.absolute()), card.entry]
        self._command += [] if weights is None else [str(weights)]
        self._environment = environment
        self._process: HostProcess | None = None
        self._lock = threading.Lock()  # one batch at a time
        self._batches = 0
        self._capabilities = Capabilities.of(card, card.revision)

    @property
    def capabilities(self) -> Capabilities:
        """What its card says."""
        return self._capabilities

    @property
    def pid(self) -> int | None:
        """Process id of the host; None while there is none."""
        return self._process.pid if self._process is not None else None

    def interleave(
        self,
        plan: StoryPlan,
        places: Sequence[int],
        known: Mapping[int, Condition],
        stem: Stem = Stem.COMPOSITE,
    ) -> Iterator[Mapping[int, Condition]]:
        """Make conditions in the host, a part at a time; none where the engine needs none.

        Raises:
            EngineFailed: if the host fails.
        """
        if not self._card.needs_condition:
            yield dict.fromkeys(places, NO_CONDITION)
            return
        parts: list[bytes] = []
        described = {place: _describe(known[place], parts) for place in known}
        order = {
            "plan": plan.model_dump(mode="json"),
            "places": list(places),
            "known": described,
            "stem": stem,
        }
        with self._lock, self._batch("interleave", order, parts, UNWATCHED) as batch:
            for header in batch.answers():
                yield batch.conditions(header, places)
                batch.go_on()

    def synthesize(
        self, requests: Sequence[ClipRequest], watch: ProgressListener = UNWATCHED
    ) -> list[ClipResult]:
        """Make one clip per request, in order.

        Raises:
            EngineFailed: if the engine fails, or the host does.
            Cancelled: if `watch` says so; an engine that does not stop by itself is killed.
        """
        parts: list[bytes] = []
        order = {"requests": [_as_json(request, parts) for request in requests]}
        while not self._lock.acquire(timeout=LOOK_S):
            watch.step(0, 0.0)
        try:
            with self._batch("synthesize", order, parts, watch) as batch:
                made = [
                    batch.clip(header, at, requests) for at, header in enumerate(batch.answers())
                ]
                if len(made) != len(requests):
                    raise Rubbish(f"made {len(made)} clips for {len(requests)} requests")
                return made
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the host; a later batch starts another."""
        with self._lock:
            if self._process is not None:
                self._process.end()
                self._process = None

    @contextlib.contextmanager
    def _batch(
        self, do: str, order: dict[str, Any], parts: Sequence[bytes], watch: ProgressListener
    ) -> "Iterator[_Batch]":
        """Begin a batch; a host that does not bring it to its end is killed."""
        self._batches += 1
        process = self._running()
        count = len(order.get("requests", ()))
        batch = _Batch(self._card.name, process, self._batches, count, self._patience, watch)
        try:
            if self._process is None:
                batch.await_ready()
                self._process = process
            batch.send({"do": do, "batch": self._batches} | order, parts)
            yield batch
        except TimeoutError:
            reason = f"made no progress for {batch.patience_s:g} s and was ended"
            raise self._failure(process, reason + process.last_words()) from None
        except (OSError, EOFError):
            raise self._failure(process, process.how_it_ended()) from None
        except Rubbish as error:
            batch.is_over = False
            raise self._failure(process, str(error) + process.last_words()) from error
        except GeneratorExit:  # the caller has enough conditions
            with contextlib.suppress(Cancelled, OSError, EOFError, Rubbish):
                batch.cancel()
                for _ in batch.answers():
                    pass
            raise
        finally:
            if not batch.is_over:
                self._process = None
                process.kill()

    def _running(self) -> HostProcess:
        if self._process is not None and not self._process.is_alive:
            self._process.kill()
            self._process = None
        try:
            return self._process or HostProcess(self._card.name, self._command, self._environment)
        except OSError as error:
            raise EngineFailed(
                f"The host of {self._card.name} cannot be started: {error}"
            ) from error

    def _failure(self, process: HostProcess, reason: str) -> EngineFailed:
        return EngineFailed(f"The host of the engine {self._card.name} {reason}")


class _Batch:
    """What is exchanged with a host for one batch.

    Args:
        name: of the engine.
        process: the host.
        number: of the batch.
        count: clips of it.
        patience: with the host.
        watch: gets how far each clip is.
    """

    def __init__(
        self,
        name: str,
        process: HostProcess,
        number: int,
        count: int,
        patience: Environment,
        watch: ProgressListener,
    ) -> None:
        self.is_over = False  # the host waits for the next one
        self.patience_s = patience.start_s
        self._name = name
        self._process = process
        self._number = number
        self._limits = patience
        self._watch = watch
        self._shares = [0.0] * count  # of each clip that are done
        self._index = 0  # of the clip that was reported last
        self._is_cancelled = False
        self._deadline = time.monotonic() + self.patience_s
        self._wait = wait_and(self._look)

    def await_ready(self) -> None:
        """Wait until the host has loaded its engine."""
        if self._process.receive(self._wait)["is"] != "ready":
            raise Rubbish("did not say that it is ready")
        self._may_stop()

    def send(self, order: Mapping[str, Any], parts: Sequence[bytes] = ()) -> None:
        """Give an order."""
        self.patience_s = self._limits.patience_s
        self._advance()
        self._process.send(order, parts, self._wait)

    def go_on(self) -> None:
        """Have the next part made."""
        self.send({"do": "more", "batch": self._number})

    def answers(self) -> Iterator[dict[str, Any]]:
        """Yield headers of what is made, until the batch is done.

        Raises:
            EngineFailed: in the engine's words.
            Cancelled: if the batch was cancelled.
        """
        while True:
            header = self._process.receive(self._wait)
            if header["parts"] and header["is"] not in ("clip", "conditions"):
                raise Rubbish(f"answered {plain(header['is'])!r} with samples")
            match header["is"]:
                case "progress":
                    self._note(header)
                case "done" | "cancelled" | "failed":
                    self.is_over = True
                    self._may_stop()
                    if header["is"] == "failed":
                        reason = plain(str(header.get("reason", "it does not say why")))
                        raise EngineFailed(f"The engine {self._name} failed: {reason}")
                    return
                case "clip" | "conditions":
                    yield header
                case other:
                    raise Rubbish(f"answered {plain(other)!r}")

    def clip(
        self, header: Mapping[str, Any], at: int, requests: Sequence[ClipRequest]
    ) -> ClipResult:
        """Read a clip; its samples are copied once, from the pipe."""
        if header["is"] != "clip" or at >= len(requests) or header.get("index") != at:
            raise Rubbish("answered with a clip that is not due")
        samples, counts = requests[at].samples, header["parts"]
        if len(counts) != CHANNELS:
            raise Rubbish(f"made {len(counts)} channels, not {CHANNELS}")
        if counts != [samples * SAMPLE_BYTES] * CHANNELS:
            raise Rubbish(f"made {counts[0] // SAMPLE_BYTES} samples, not {samples}")
        waveform = np.empty((CHANNELS, samples), "<f4")
        self._process.receive_into(waveform.data.cast("B"), self._wait)
        if not np.isfinite(waveform).all():
            raise Rubbish("made samples that are not finite numbers")
        self._index, self._shares[at] = at, 1.0
        self._advance()
        self._look()
        report = {name: _words(header.get(name, ())) for name in REPORTS}
        return ClipResult(waveform, **report, is_silence=header.get("is_silence") is True)

    def conditions(self, header: Mapping[str, Any], places: Sequence[int]) -> dict[int, Condition]:
        """Read the conditions of a part, by place."""
        if header["is"] != "conditions" or sum(header["parts"]) > MAX_CONDITION:
            raise Rubbish("answered with conditions that are not due, or too large")
        parts = [bytearray(count) for count in header["parts"]]
        for part in parts:
            self._process.receive_into(memoryview(part), self._wait)
        self._advance()
        try:
            made = {
                int(place): Condition(
                    bytes(parts[at["data"]]),
                    None if at["tensors"] is None else bytes(parts[at["tensors"]]),
                )
                for place, at in header["conditions"].items()
            }
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise Rubbish("answered with conditions that cannot be read") from error
        if not made or not made.keys() <= set(places):
            raise Rubbish("answered with conditions of other places")
        return made

    def cancel(self) -> None:
        """Have the engine stop soon."""
        if not self._is_cancelled:
            self._is_cancelled = True
            self._deadline = time.monotonic() + CANCEL_S
            self._process.send({"do": "cancel", "batch": self._number}, (), self._wait)

    def _look(self) -> None:
        """Report progress once more: so a batch is cancelled though its engine says nothing."""
        is_late = time.monotonic() > self._deadline
        if self._is_cancelled:
            if is_late:
                raise Cancelled
            return
        if is_late:
            raise TimeoutError
        try:
            if self._shares:
                self._watch.step(self._index, self._shares[self._index])
        except Cancelled:
            self.cancel()

    def _may_stop(self) -> None:
        if self._is_cancelled:
            raise Cancelled

    def _note(self, header: Mapping[str, Any]) -> None:
        index, done = header.get("index"), header.get("done")
        if not isinstance(index, int) or not 0 <= index < len(self._shares):
            raise Rubbish("reported progress of nothing")
        if not isinstance(done, int | float):
            raise Rubbish("reported progress of no number")
        if done > self._shares[index]:
            self._index, self._shares[index] = index, min(float(done), 1.0)
            self._advance()

    def _advance(self) -> None:
        if not self._is_cancelled:
            self._deadline = time.monotonic() + self.patience_s


def _as_json(request: ClipRequest, parts: list[bytes]) -> dict[str, Any]:
    condition = request.condition
    return {
        "caption": request.caption,
        "layers": [layer.model_dump(mode="json") for layer in request.layers],
        "samples": request.samples,
        "seed": request.seed,
        "language": request.language,
        "cast": [member.model_dump(mode="json") for member in request.cast],
        "parameters": dict(request.parameters),
        "condition": None if condition is None else _describe(condition, parts),
        "stem": request.stem,
    } | ({"say": dict(request.say)} if request.say else {})


def _describe(condition: Condition, parts: list[bytes]) -> dict[str, int | None]:
    """Add a condition to the parts of a frame; return where it is."""
    parts.append(condition.data)
    if condition.tensors is None:
        return {"data": len(parts) - 1, "tensors": None}
    parts.append(condition.tensors)
    return {"data": len(parts) - 2, "tensors": len(parts) - 1}


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        return ()
    return tuple(plain(word) for word in value)
