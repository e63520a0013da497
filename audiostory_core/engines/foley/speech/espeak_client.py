"""The owner of the espeak-ng helper process."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.errors import EngineFailed

HELPER = Path(__file__).with_name("espeak.py")
PATIENCE_S = 30.0  # to start and to speak a line, on a busy machine
PATIENCE_PER_CHARACTER_S = 0.01
PIPE_ROOM = 1 << 16  # bytes that a pipe holds, so that no more can be read at a time
LOOK_S = 0.05  # between two looks at whether the answer is still wanted


class EspeakClient:
    """Speaks through a helper process that is started when first needed.

    One request at a time; threads wait for each other. A helper that dies is started once more
    for the request that it left.

    Args:
        command: starts the helper.
        patience_s: how long one answer may take, before `PATIENCE_PER_CHARACTER_S` is added.
    """

    def __init__(
        self,
        # By path and with -P: neither the studio's packages nor the current folder are imported.
        command: tuple[str, ...] = (sys.executable, "-P", str(HELPER)),
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._command = command
        self._patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None  # the helper's stderr
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], NDArray[np.int16]]:
        """Return the header of the answer and its samples, [N] at `header["sample_rate"]`.

        Raises:
            EngineFailed: if the helper cannot be started, dies twice or takes too long.
            Cancelled: if the clip is not wanted any more; the helper is ended with its utterance,
                and the next request starts another.
        """
        while not self._lock.acquire(timeout=LOOK_S):
            checkpoint()
        try:
            for attempt in (1, 2):
                try:
                    return self._ask_once(request)
                except (OSError, EOFError, ValueError) as error:
                    reason = str(error)
                    complaint = self._stop()
                    if attempt == 2 or isinstance(error, TimeoutError):
                        break
        finally:
            self._lock.release()
        raise EngineFailed(f"speech could not be made: {complaint or reason}")

    def close(self) -> None:
        """End the helper process; a later `ask` starts another."""
        with self._lock:
            self._stop()

    def _ask_once(self, request: dict[str, Any]) -> tuple[dict[str, Any], NDArray[np.int16]]:
        process = self._running()
        body = json.dumps(request).encode()
        patience_s = self._patience_s + PATIENCE_PER_CHARACTER_S * len(request["text"])
        exchange = _Exchange(process, patience_s)
        is_whole = False
        try:
            exchange.send(len(body).to_bytes(4, "big") + body)
            length = int.from_bytes(exchange.receive(4), "big")
            header = json.loads(exchange.receive(length))
            pcm = exchange.receive(header["bytes"])
            is_whole = True
        finally:
            if not is_whole:  # what is left of this answer must not be read as the next
                _kill(process)
                process.wait()
        return header, np.frombuffer(pcm, dtype=np.int16)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._stop()
            # A file, not a pipe: it is not read while the helper works.
            self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _stop
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                bufsize=0,
                process_group=0,  # so that its fork can be ended with it
            )
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)  # it is written while it has room
        return self._process

    def _stop(self) -> str:
        """Return the helper's last words."""
        complaint = ""
        if self._process is not None:
            _kill(self._process)
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(BrokenPipeError):  # a request that was not taken
                    assert pipe is not None
                    pipe.close()
            self._process = None
        if self._complaints is not None:
            self._complaints.seek(0)
            lines = self._complaints.read().decode(errors="replace").split("\n")
            complaint = next((line for line in reversed(lines) if line.strip()), "")
            self._complaints.close()
            self._complaints = None
        return complaint


class _Exchange:
    """One request and its answer, through the pipes of the helper.

    Args:
        process: the helper.
        patience_s: how long the whole exchange may take.
    """

    def __init__(self, process: subprocess.Popen[bytes], patience_s: float) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin.fileno(), process.stdout.fileno()
        self._patience_s = patience_s
        self._deadline = time.monotonic() + patience_s

    def send(self, data: bytes) -> None:
        """Write all of the data.

        Raises:
            OSError: if the helper has ended, or nothing was read for too long (TimeoutError).
            Cancelled: if the answer is not wanted any more.
        """
        rest = memoryview(data)
        while rest:
            self._wait(self._stdin, select.POLLOUT)
            rest = rest[os.write(self._stdin, rest) :]

    def receive(self, count: int) -> bytes:
        """Read exactly so many bytes.

        Raises:
            EOFError: if the helper ends before.
            TimeoutError: if the answer is not whole when patience ends.
            Cancelled: if it is not wanted any more.
        """
        data = bytearray()
        while len(data) < count:
            self._wait(self._stdout, select.POLLIN)
            piece = os.read(self._stdout, min(count - len(data), PIPE_ROOM))
            if not piece:
                raise EOFError("the helper process ended before it answered")
            data += piece
        return bytes(data)

    def _wait(self, pipe: int, event: int) -> None:
        poll = select.poll()
        poll.register(pipe, event)
        checkpoint()
        while not poll.poll(1000 * LOOK_S):
            checkpoint()
            if time.monotonic() > self._deadline:
                raise TimeoutError(f"no answer within {self._patience_s:g} s")


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
