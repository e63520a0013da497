"""The child's side of a host: loads an engine and carries out orders; the standard library alone.

Run by path in the engine's interpreter: `python -I child.py FOLDER MODULE:CLASS [WEIGHTS]`. A frame
is the length of its header (4 bytes, big-endian), the header as JSON, then the raw bytes of as
many parts as `parts` in the header lists, each as long as it says. docs/engines.md lists them all.
"""

from __future__ import annotations  # an engine's interpreter may be older than the studio's

import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import IO, Any

Header = dict[str, Any]
Frame = tuple[Header, "list[bytes]"]
LENGTH_BYTES = 4
CHANNELS = 2
SAMPLE_BYTES = 4
STEP_S = 0.05  # between two reports of progress
COMPOSITE = "composite"  # not passed on: there are engines whose conditions are all of it


class Cancelled(Exception):
    """No clip of the batch is wanted any more."""


class Pipe:
    """Frames to and from the parent.

    Args:
        reading: file to read from.
        writing: file to write to.
    """

    def __init__(self, reading: IO[bytes], writing: IO[bytes]) -> None:
        self._reading = reading
        self._writing = writing
        self._lock = threading.Lock()

    def write(self, header: Header, parts: Sequence[Any] = ()) -> None:
        """Write a frame; a part is any buffer."""
        views = [memoryview(part).cast("B") for part in parts]
        text = json.dumps({**header, "parts": [view.nbytes for view in views]}).encode()
        with self._lock:
            self._writing.write(len(text).to_bytes(LENGTH_BYTES, "big") + text)
            for view in views:
                self._writing.write(view)
            self._writing.flush()

    def read(self) -> Frame | None:
        """Return the next frame, header and parts; None at the end."""
        head = self._reading.read(LENGTH_BYTES)
        if len(head) < LENGTH_BYTES:
            return None
        header = json.loads(self._reading.read(int.from_bytes(head, "big")))
        return header, [self._reading.read(count) for count in header["parts"]]


class Orders:
    """Reads what the parent writes, in a thread of its own; the end of that ends the process."""

    def __init__(self, pipe: Pipe) -> None:
        self.cancelled: int | None = None  # the batch that is not wanted any more
        self._pipe = pipe
        self._queue: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def get(self) -> Frame:
        """Return the next order."""
        return self._queue.get()

    def _read(self) -> None:
        while (frame := self._pipe.read()) is not None:
            if frame[0]["do"] == "cancel":
                self.cancelled = frame[0]["batch"]
            self._queue.put(frame)
        if os.getpgrp() == os.getpid():  # what the engine started ends, too
            os.killpg(0, signal.SIGKILL)
        os._exit(0)


class Batch:
    """What an engine reports the progress of a batch to, and is stopped by."""

    def __init__(self, pipe: Pipe, orders: Orders, number: int) -> None:
        self._pipe = pipe
        self._orders = orders
        self._number = number
        self._reported = 0.0  # by the monotonic clock

    def step(self, index: int, done: float) -> None:
        """Report that request `index` is done to a share of 0 … 1.

        Raises:
            Cancelled: if no clip of the batch is wanted any more; let it pass.
        """
        if self._orders.cancelled == self._number:
            raise Cancelled
        now = time.monotonic()
        if done >= 1 or now - self._reported >= STEP_S:
            self._reported = now
            self._pipe.write({"is": "progress", "index": int(index), "done": float(done)})


class Answering:
    """Ends a batch with a frame, however it went; the engine can be used on."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if error is None:
            self._pipe.write({"is": "done"})
        elif isinstance(error, Cancelled):
            self._pipe.write({"is": "cancelled"})
        elif isinstance(error, Exception) and not isinstance(error, BrokenPipeError):
            traceback.print_exception(kind, error, trace)
            self._pipe.write({"is": "failed", "reason": f"{kind.__name__}: {error}"[:2000]})
        else:
            return False
        return True


def synthesize(engine: Any, order: Frame, pipe: Pipe, batch: Batch) -> None:
    """Write a frame per clip, as soon as the engine has made it."""
    header, parts = order
    requests = [with_condition(request, parts) for request in header["requests"]]
    made = 0
    for made, clip in enumerate(engine.synthesize(requests, batch), 1):
        if made > len(requests):
            break
        channels = clip["channels"]
        check_channels(channels, requests[made - 1]["samples"])
        report = {name: clip[name] for name in clip if name != "channels"}
        pipe.write({"is": "clip", "index": made - 1, **report}, channels)
    if made != len(requests):
        raise ValueError(f"{made} clips were made for {len(requests)} requests")


def interleave(engine: Any, order: Frame, pipe: Pipe, orders: Orders) -> None:
    """Write a frame per part of the conditions; the next is made when the parent wants more."""
    header, parts = order
    known = {int(place): resolved(condition, parts) for place, condition in header["known"].items()}
    stem = {} if header["stem"] == COMPOSITE else {"stem": header["stem"]}
    for made in engine.interleave(header["plan"], header["places"], known, **stem):
        buffers: list[Any] = []
        described: dict[int, dict[str, int | None]] = {}
        for place, condition in made.items():
            tensors = condition.get("tensors")
            at = None if tensors is None else len(buffers) + 1
            described[place] = {"data": len(buffers), "tensors": at}
            buffers += [condition["data"]] if tensors is None else [condition["data"], tensors]
        pipe.write({"is": "conditions", "conditions": described}, buffers)
        orders.get()
        if orders.cancelled == header["batch"]:
            raise Cancelled


def with_condition(request: Header, parts: Sequence[bytes]) -> Header:
    """Return a request with the bytes of its condition."""
    condition = request["condition"]
    return {**request, "condition": condition and resolved(condition, parts)}


def resolved(condition: Mapping[str, Any], parts: Sequence[bytes]) -> dict[str, bytes | None]:
    """Return a condition with its bytes."""
    at = condition["tensors"]
    return {"data": parts[condition["data"]], "tensors": None if at is None else parts[at]}


def check_channels(channels: Sequence[Any], samples: int) -> None:
    """Refuse what is no clip of so many samples.

    Raises:
        ValueError: saying what is wrong.
    """
    if len(channels) != CHANNELS:
        raise ValueError(f"made {len(channels)} channels, not {CHANNELS}")
    for channel in channels:
        view = memoryview(channel)
        if view.format != "f":
            raise ValueError(f"made samples of format {view.format!r}, not float32")
        if view.nbytes != samples * SAMPLE_BYTES:
            raise ValueError(f"made {view.nbytes // SAMPLE_BYTES} samples, not {samples}")


def load(folder: str, entry: str, weights: Sequence[str]) -> Any:
    """Return the engine that a card's entry names, made with its weights if it has any."""
    sys.path.insert(0, folder)
    module, attribute = entry.split(":")
    factory = getattr(importlib.import_module(module), attribute)
    return factory(*weights)


def take_pipes() -> Pipe:
    """Return the pipes to the parent as files, and keep them from all else in this process.

    What is printed goes to stderr, and reading standard input finds its end: neither the engine
    nor a process that it starts can write into a frame or take one.
    """
    reading, writing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return Pipe(os.fdopen(reading, "rb"), os.fdopen(writing, "wb"))


def main() -> None:
    """Carry out orders until standard input ends."""
    folder, entry, *weights = sys.argv[1:]
    pipe = take_pipes()
    orders = Orders(pipe)
    engine = load(folder, entry, weights)
    pipe.write({"is": "ready"})
    while True:
        order = orders.get()
        number = order[0]["batch"]
        if order[0]["do"] == "synthesize":
            with Answering(pipe):
                synthesize(engine, order, pipe, Batch(pipe, orders, number))
        elif order[0]["do"] == "interleave":
            with Answering(pipe):
                interleave(engine, order, pipe, orders)


if __name__ == "__main__":
    main()
