"""A host's process and the frames to and from it; see child.py for what a frame is."""

import contextlib
import fcntl
import json
import logging
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from audiostory_core.engines.host.child import LENGTH_BYTES

LOOK_S = 0.05  # between two looks at whether the answer is still wanted
MAX_HEADER = 1 << 24  # bytes of what a child may write; rubbish reads as far more
PIPE_ROOM = 1 << 20  # bytes that a pipe holds, where the kernel allows it
LINES_PER_S = 20  # of stderr that are logged; the others are counted
LONGEST_LINE = 1000  # characters that are logged of one
LOG_S = 1.0  # for the last lines of a host to be read
END_S = 2.0  # for a host to end by itself

log = logging.getLogger(__name__)


class Rubbish(Exception):
    """What a host wrote is no frame, or not the one that was due; a predicate."""


class HostProcess:
    """One child process.

    Args:
        name: of its engine, for the log.
        command: starts it.
        environment: of the process.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._name = name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            process_group=0,  # Ctrl-C is not for it, and what it starts ends with it
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._stdin, False)  # it is written while it has room
        with contextlib.suppress(OSError):  # beyond what the user may have
            fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, PIPE_ROOM)
        self._log = _Log(name, self._process.stderr)

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id, which is that of its group."""
        return self._process.pid

    def send(self, header: Mapping[str, Any], parts: Sequence[bytes], wait: "Wait") -> None:
        """Write a frame.

        Raises:
            OSError: if the host has ended.
        """
        text = json.dumps({**header, "parts": [len(part) for part in parts]}).encode()
        for piece in (len(text).to_bytes(LENGTH_BYTES, "big") + text, *parts):
            rest = memoryview(piece)
            while rest:
                wait(self._stdin, select.POLLOUT)
                with contextlib.suppress(BlockingIOError):
                    rest = rest[os.write(self._stdin, rest) :]

    def receive(self, wait: "Wait") -> dict[str, Any]:
        """Read a header; its parts are to be read next, by `receive_into`.

        Raises:
            Rubbish: if it is none.
            EOFError: if the host has ended.
        """
        length = int.from_bytes(self._read(LENGTH_BYTES, wait))
        if length > MAX_HEADER:
            raise Rubbish("wrote what is no frame")
        try:
            header: dict[str, Any] = json.loads(self._read(length, wait))
            if not all(isinstance(count, int) and count >= 0 for count in header["parts"]):
                raise Rubbish("wrote a frame with parts of no length")
            header["is"] = str(header["is"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Rubbish("wrote what is no frame") from error
        return header

    def receive_into(self, buffer: memoryview, wait: "Wait") -> None:
        """Fill a buffer of bytes."""
        while buffer:
            wait(self._stdout, select.POLLIN)
            count = os.readv(self._stdout, [buffer])
            if count == 0:
                raise EOFError("ended")
            buffer = buffer[count:]

    def how_it_ended(self) -> str:
        """Say how it ended, and its last words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        code = self._process.returncode
        if code is None:
            return "closed its pipe" + self.last_words()
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        return f"ended {how}" + self.last_words()

    def last_words(self) -> str:
        """Return the last line it wrote to stderr, in brackets; empty if there is none."""
        self._log.join()
        return f" ({self._log.last})" if self._log.last else ""

    def end(self) -> None:
        """Let it end by itself; then make it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self.kill()

    def kill(self) -> None:
        """End it, and whatever it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self, count: int, wait: "Wait") -> bytes:
        buffer = bytearray(count)
        self.receive_into(memoryview(buffer), wait)
        return bytes(buffer)


Wait = Callable[[int, int], None]
"""Returns once a file is ready for an event of `select.poll`."""


def wait_and(look: Callable[[], None]) -> Wait:
    """Return what waits for a host, and calls `look` every `LOOK_S`, which may raise."""
    looked = time.monotonic()

    def wait(file: int, event: int) -> None:
        nonlocal looked
        poll = select.poll()
        poll.register(file, event)
        is_ready = False
        while not is_ready:
            is_ready = bool(poll.poll(1000 * LOOK_S))
            if not is_ready or time.monotonic() - looked > LOOK_S:
                looked = time.monotonic()
                look()

    return wait


def plain(text: str) -> str:
    """Return a foreign text as a line that a log shows and a database keeps."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in text[:LONGEST_LINE]
    )


class _Log:
    """Logs what a host writes to stderr, line by line, and keeps the last line.

    It reads at once whatever comes, so that a flood neither blocks the host nor fills memory.
    """

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self.last = ""
        self._name = name
        self._file = file
        self._second = 0
        self._count = 0  # lines of that second
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until all is read, if nothing that the host started keeps it open."""
        self._thread.join(LOG_S)

    def _read(self) -> None:
        rest = b""
        with self._file:
            while piece := os.read(self._file.fileno(), 1 << 16):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._note(line)
                rest = rest[-LONGEST_LINE:]
        self._note(rest)
        self._tell_rest()

    def _note(self, line: bytes) -> None:
        text = plain(line[-LONGEST_LINE:].decode(errors="replace").strip())
        if not text:
            return
        self.last = text
        if int(time.monotonic()) != self._second:
            self._tell_rest()
            self._second, self._count = int(time.monotonic()), 0
        self._count += 1
        if self._count <= LINES_PER_S:
            log.info("%s: %s", self._name, text)

    def _tell_rest(self) -> None:
        if self._count > LINES_PER_S:
            log.info("%s: %d more lines", self._name, self._count - LINES_PER_S)
        self._count = 0
