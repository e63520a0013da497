"""An engine that does what the first word of a caption says; the standard library alone."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from array import array
from pathlib import Path

LEVEL, PERIOD = 0.1, 5  # half a period, in samples; clips are longer
ABSENT = ("numpy", "torch", "pydantic", "typer", "audiostory_core")


class Troubled:
    """Makes a low tone, and trouble."""

    def interleave(self, plan, places, known):
        """Condition each place by the place before, and say so on standard error."""
        data = known[places[0] - 1]["data"] if places[0] - 1 in known else b"start"
        for place in places:
            data = data + f" {plan['sub_events'][place]['caption']}".encode()
            sys.stderr.write(f"conditioned {place}\n")
            yield {place: {"data": data, "tensors": bytes(place)}}

    def synthesize(self, requests, watch):
        """Yield a clip for each request."""
        for index, request in enumerate(requests):
            watch.step(index, 0.25)
            word, _, rest = request["caption"].partition(" ")
            whole = array("f", [LEVEL] * PERIOD + [-LEVEL] * PERIOD) * (
                request["samples"] // PERIOD
            )
            clip = {"channels": [whole[: request["samples"]] for _ in range(2)]}
            clip |= getattr(self, word)(clip, watch, index, rest, request) or {}
            yield clip

    def plain(self, clip, watch, index, rest, request):
        """Do nothing beside."""

    def dies(self, clip, watch, index, rest, request):
        sys.stderr.write("out of memory\n")
        os.kill(os.getpid(), signal.SIGKILL)

    def leaves(self, clip, watch, index, rest, request):
        os._exit(3)

    def awaits(self, clip, watch, index, rest, request):
        """Touch one file, and wait until there is another."""
        begun, go_on = map(Path, rest.split())
        begun.touch()
        while not go_on.exists():
            watch.step(index, 0.5)
            time.sleep(0.01)

    def raises(self, clip, watch, index, rest, request):
        raise RuntimeError(rest)

    def sleeps(self, clip, watch, index, rest, request):
        """Do nothing for a minute, deaf to everything."""
        time.sleep(60)

    def repeats(self, clip, watch, index, rest, request):
        """Report the same progress for a minute."""
        for _ in range(600):
            time.sleep(0.1)
            watch.step(index, 0.25)

    def steps(self, clip, watch, index, rest, request):
        """Report progress for a minute."""
        for number in range(600):
            watch.step(index, 0.25 + number / 1000)
            time.sleep(0.1)

    def forks(self, clip, watch, index, rest, request):
        """Start a process that outlives this one, write its id to a file, and wait."""
        with subprocess.Popen(["sleep", "60"]) as sleeping:
            Path(rest).write_text(str(sleeping.pid))
            self.sleeps(clip, watch, index, rest, request)

    def short(self, clip, watch, index, rest, request):
        return {"channels": [array("f", [0.0])] * 2}

    def mono(self, clip, watch, index, rest, request):
        return {"channels": clip["channels"][:1]}

    def double(self, clip, watch, index, rest, request):
        return {"channels": [array("d", bytes(8 * request["samples"]))] * 2}

    def nan(self, clip, watch, index, rest, request):
        clip["channels"][1][7] = float("nan")

    def floods(self, clip, watch, index, rest, request):
        """Write so many lines to standard error, at once."""
        sys.stderr.write("trouble\n" * int(rest))

    def endless(self, clip, watch, index, rest, request):
        """Write a line of so many bytes to standard error."""
        sys.stderr.write("x" * int(rest))

    def prints(self, clip, watch, index, rest, request):
        """Write to standard output in three ways."""
        sys.stdout.write("printed\n")
        sys.stdout.flush()
        os.write(1, b"\x01\x00\x00\x02{}")
        subprocess.run(["echo", "echoed"], check=True)
        return {"matched": [sys.stdin.read() or "nothing to read"]}

    def imports(self, clip, watch, index, rest, request):
        """Tell which packages of the studio can be imported here."""
        return {"matched": [name for name in ABSENT if importlib.util.find_spec(name)]}

    def environment(self, clip, watch, index, rest, request):
        return {"matched": [f"{name}={value}" for name, value in os.environ.items()]}

    def tells(self, clip, watch, index, rest, request):
        """Tell what was read."""
        condition = request["condition"]
        read = [str(request[name]) for name in ("seed", "language", "layers", "parameters")]
        parts = (
            [] if condition is None else [condition["data"].decode(), repr(condition["tensors"])]
        )
        return {"matched": read + parts, "warnings": ["noted"], "is_silence": True}

    def stems(self, clip, watch, index, rest, request):
        return {"matched": [request["stem"]]}


class Stemmed(Troubled):
    """Conditions a stem by its name."""

    def interleave(self, plan, places, known, stem="composite"):
        for place in places:
            yield {place: {"data": stem.encode(), "tensors": None}}
