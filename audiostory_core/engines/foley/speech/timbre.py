"""The timbres of a voice: whispered, shouted, a robot's."""

import zlib

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.speech.manner import Timbre
from audiostory_core.engines.foley.synthesis.dsp import (
    Array,
    highpass,
    lowpass,
    parts,
    times,
    white,
)
from audiostory_core.story.plan import SAMPLE_RATE

FRAME = 1024  # samples of the whisper's spectral frames, 23 ms
HOP = FRAME // 4
TRACT_S = 0.002  # what changes slower along the spectrum is the vocal tract, faster the voice
FRAMES_AT_ONCE = 4096  # 24 s; bounds the memory of a long line
BREATHS_AT_ONCE = 512  # frames between two checkpoints
RING_HZ = 55.0  # of the ring modulation that makes a robot


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
