"""A toy engine: a tone for each caption, by the standard library alone."""

import math
import zlib
from array import array

RATE = 44_100  # samples a second
SEMITONES = 12
LEVEL = 0.2


class Toy:
    """Makes a steady tone; the pitch follows from the caption, the phase from the seed."""

    def synthesize(self, requests, watch):
        """Yield a clip for each request."""
        for index, request in enumerate(requests):
            watch.step(index, 0.0)
            channel = tone(request)
            watch.step(index, 1.0)
            yield {"channels": (channel, channel), "matched": [f"tone: {request['caption']}"]}


def tone(request):
    """Return the samples of one channel."""
    semitone = zlib.crc32(request["caption"].encode()) % SEMITONES
    pitch_hz = request["parameters"]["pitch_hz"] * 2 ** (semitone / SEMITONES)
    period = max(2, round(RATE / pitch_hz))
    phase = request["seed"] % period
    wave = [math.sin(2 * math.pi * (phase + at) / period) for at in range(period)]
    if request["parameters"]["shape"] == "square":
        wave = [math.copysign(1.0, value) for value in wave]
    samples = request["samples"]
    once = array("f", (LEVEL * value for value in wave))
    return (once * (samples // period + 1))[:samples]
