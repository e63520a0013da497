"""How a line is spoken: what the words of its manner ask of the voice, and the timbres."""

import tomllib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import TypeAdapter

from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.speech.cues import Cues, plain
from audiostory_core.engines.foley.synthesis.dsp import (
    Array,
    highpass,
    lowpass,
    parts,
    times,
    white,
)
from audiostory_core.story.plan import SAMPLE_RATE

Timbre = Literal["voiced", "whispered", "shouted", "robotic"]

FRAME = 1024  # samples of the whisper's spectral frames, 23 ms
HOP = FRAME // 4
TRACT_S = 0.002  # what changes slower along the spectrum is the vocal tract, faster the voice
FRAMES_AT_ONCE = 4096  # 24 s; bounds the memory of a long line
BREATHS_AT_ONCE = 512  # frames between two checkpoints
RING_HZ = 55.0  # of the ring modulation that makes a robot


@dataclass(frozen=True)
class Manner:
    """What a manner changes in a voice."""

    rate: float = 1.0  # factor
    pitch: int = 0  # steps of espeak-ng, of 99
    pitch_range: float = 1.0  # factor
    gain_db: float = 0.0  # against a normal voice
    timbre: Timbre = "voiced"

    def with_manner(self, other: "Manner") -> "Manner":
        """Return both at once; a special timbre outdoes the normal one."""
        return Manner(
            rate=self.rate * other.rate,
            pitch=self.pitch + other.pitch,
            pitch_range=self.pitch_range * other.pitch_range,
            gain_db=self.gain_db + other.gain_db,
            timbre=other.timbre if self.timbre == "voiced" else self.timbre,
        )


@dataclass(frozen=True)
class Manners:
    """The manners that words can name."""

    entries: tuple[tuple[Cues, Manner], ...]
    names: tuple[str, ...] = ()  # of the entries
    words: tuple[str, ...] = ()  # that name one, see cues.py

    @classmethod
    def load(cls) -> "Manners":
        """Read `speech/manners.toml`."""
        text = Path(__file__).with_name("manners.toml").read_text("utf-8")
        tables = tomllib.loads(text)
        words = tuple(word for table in tables.values() for word in _words(table))
        return cls(tuple(_entry(table) for table in tables.values()), tuple(tables), words)

    def knows(self, text: str) -> bool:
        """Tell whether the text names a manner at all."""
        return any(cues.spans(plain(text)) for cues, _ in self.entries)

    def named_in(self, text: str | None) -> Manner:
        """Return what the text asks for, several manners together; of overlapping the longest."""
        compared = plain(text or "")
        matches = [
            (start, end, manner)
            for cues, manner in self.entries
            for start, end in cues.spans(compared)
        ]
        matches.sort(key=lambda match: (match[0] - match[1], match[0]))
        taken: list[tuple[int, int, Manner]] = []
        for start, end, manner in matches:
            is_free = all(end <= left or right <= start for left, right, _ in taken)
            if is_free and all(manner is not other for _, _, other in taken):
                taken.append((start, end, manner))
        together = Manner()
        for _, _, manner in sorted(taken, key=lambda match: match[0]):
            together = together.with_manner(manner)
        return together


def in_timbre(waveform: Array, timbre: Timbre, words: str) -> Array:
    """Return a voice [N] whispered, shouted or made a robot's; the level is the caller's.

    `words` seeds the breath of a whisper.
    """
    if timbre == "whispered":
        return _whispered(waveform, np.random.default_rng(zlib.crc32(words.encode())))
    if timbre == "shouted":
        return _shouted(waveform)
    if timbre == "robotic":
        return _robotic(waveform)
    return waveform


def _entry(table: dict[str, object]) -> tuple[Cues, Manner]:
    parameters = {key: value for key, value in table.items() if not isinstance(value, list)}
    manner = TypeAdapter(Manner).validate_python(parameters)
    return Cues.of(_words(table)), manner


def _words(table: dict[str, object]) -> list[str]:
    lists: Sequence[list[str]] = [value for value in table.values() if isinstance(value, list)]
    return [word for words in lists for word in words]


def _whispered(waveform: Array, rng: np.random.Generator) -> Array:
    """Excite the vocal tract with noise: keep each frame's spectral envelope, drop its phases."""
    padded = np.pad(waveform, (FRAME, 2 * FRAME))
    noise = white(rng, padded.size)
    whisper = np.zeros(padded.size)
    voiced_frames = sliding_window_view(padded, FRAME)[::HOP]
    noise_frames = sliding_window_view(noise, FRAME)[::HOP]
    for first in range(0, len(voiced_frames), FRAMES_AT_ONCE):
        last = min(first + FRAMES_AT_ONCE, len(voiced_frames))
        pieces = []
        for at in range(first, last, BREATHS_AT_ONCE):
            checkpoint()
            block = slice(at, min(at + BREATHS_AT_ONCE, last))
            pieces.append(_breath(voiced_frames[block], noise_frames[block]))
        breath = np.concatenate(pieces)
        for phase in range(FRAME // HOP):  # every fourth frame at a time: these do not overlap
            joined = breath[phase :: FRAME // HOP].ravel()
            at = (first + phase) * HOP
            whisper[at : at + joined.size] += joined
    # Without the larynx the lowest formants are weak.
    return highpass(whisper[FRAME : FRAME + waveform.size], 500.0)


def _breath(voiced_frames: Array, noise_frames: Array) -> Array:
    """Shape frames of noise [F, FRAME] by the smooth spectra and the energies of a voice's."""
    window = np.hanning(FRAME + 1)[:-1]
    voiced = voiced_frames * window
    cepstra = np.fft.irfft(np.log(np.abs(np.fft.rfft(voiced)) + 1e-6))
    slowest = round(TRACT_S * SAMPLE_RATE)
    cepstra[:, slowest : FRAME - slowest + 1] = 0.0
    envelopes = np.exp(np.fft.rfft(cepstra).real)
    breath = np.fft.irfft(np.fft.rfft(noise_frames * window) * envelopes)
    energies, natural = (np.sum(frames**2, axis=1) for frames in (voiced, breath))
    return breath * np.sqrt(energies / (natural + 1e-12))[:, None] * window


def _robotic(waveform: Array) -> Array:
    ringing = np.empty(waveform.size)
    for part in parts(waveform.size):
        t = times(part.stop - part.start, part.start)
        ringing[part] = waveform[part] * (0.35 + 0.65 * np.sin(2 * np.pi * RING_HZ * t))
    return ringing


def _shouted(waveform: Array) -> Array:
    """Push a voice: presses the low end down, the formants up and into saturation."""
    bright = highpass(waveform, 250.0, 1) + 1.4 * highpass(waveform, 1400.0, 1)
    peak = float(np.max(np.abs(bright), initial=1e-9))
    return lowpass(np.tanh(4.0 * bright / peak), 9000.0)
