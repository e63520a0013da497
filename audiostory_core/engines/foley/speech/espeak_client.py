"""The owner of the espeak-ng helper process."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from audiostory_core.errors import EngineFailed

HELPER = Path(__file__).with_name("espeak.py")
PATIENCE_S = 30.0  # to start and to speak a line, on a busy machine
PATIENCE_PER_CHARACTER_S = 0.01


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
        """
        with self._lock:
            for attempt in (1, 2):
                try:
                    return self._ask_once(request)
                except (OSError, EOFError, ValueError) as error:
                    reason = str(error)
                    complaint = self._stop()
                    if attempt == 2 or isinstance(error, TimeoutError):
                        break
        raise EngineFailed(f"speech could not be made: {complaint or reason}")

    def close(self) -> None:
        """End the helper process; a later `ask` starts another."""
        with self._lock:
            self._stop()

    def _ask_once(self, request: dict[str, Any]) -> tuple[dict[str, Any], NDArray[np.int16]]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        patience_s = self._patience_s + PATIENCE_PER_CHARACTER_S * len(request["text"])
        has_expired = threading.Event()

        def expire() -> None:
            has_expired.set()
            _kill(process)

        watchdog = threading.Timer(patience_s, expire)
        watchdog.daemon = True
        watchdog.start()
        try:
            body = json.dumps(request).encode()
            process.stdin.write(len(body).to_bytes(4, "big") + body)
            process.stdin.flush()
            header = json.loads(_read_exactly(process.stdout, _read_length(process.stdout)))
            pcm = _read_exactly(process.stdout, header["bytes"])
        except (OSError, EOFError, ValueError) as error:
            if has_expired.is_set():
                raise TimeoutError(f"no answer within {patience_s:g} s") from error
            raise
        finally:
            watchdog.cancel()
        return header, np.frombuffer(pcm, dtype=np.int16)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._stop()
            # A file, not a pipe: nobody reads it while the helper works.
            self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _stop
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                process_group=0,  # so that its fork can be ended with it
            )
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


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _read_length(stream: IO[bytes]) -> int:
    return int.from_bytes(_read_exactly(stream, 4), "big")


def _read_exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError("the helper process ended before it answered")
    return data
