"""Waveforms as the bytes of files: PCM-24 for clips and mixes, float32 for seams and stems.

The same samples and the same bytes for every container and every way of asking for them.
"""

import io
import struct
from enum import Enum

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiostory_core.story.plan import CHANNELS, SAMPLE_RATE

Waveform = NDArray[np.float32]  # [C, N]

SAMPLE_BYTES = 3  # of PCM-24
FULL_SCALE = 1 << 23
LONGEST_RIFF = 0xFFFF_FFFF  # bytes; RF64 beyond


class SampleFormat(Enum):
    """How a WAV file holds its samples."""

    PCM_24 = (1, SAMPLE_BYTES)
    FLOAT_32 = (3, 4)  # may exceed full scale

    @property
    def code(self) -> int:
        """What a WAV header calls it."""
        return self.value[0]

    @property
    def frame_bytes(self) -> int:
        """Size of a sample of all channels."""
        return CHANNELS * self.value[1]

    def encode(self, waveform: Waveform) -> bytes:
        """Return a [C, N] waveform as interleaved little-endian samples."""
        if self is SampleFormat.PCM_24:
            return pcm24_bytes(waveform)
        return np.ascontiguousarray(waveform.T, "<f4").tobytes()


def pcm24(waveform: Waveform) -> NDArray[np.int32]:
    """Round a [C, N] waveform to 24 bits; what lies outside [-1, 1) is clipped.

    Returns:
        [N, C] in the upper 24 bits of each int32, the layout that libsndfile reads.
    """
    words = np.empty(waveform.shape[::-1], np.int32)
    for channel, samples in enumerate(waveform):
        scaled = samples * np.float64(FULL_SCALE)
        np.rint(scaled, out=scaled)
        np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1, out=scaled)
        words[:, channel] = scaled
    words <<= 8
    return words


def pcm24_bytes(waveform: Waveform) -> bytes:
    """Return a [C, N] waveform as interleaved little-endian 24-bit samples."""
    words = np.ascontiguousarray(pcm24(waveform), dtype="<i4").view(np.uint8).reshape(-1, 4)
    samples = np.empty((len(words), SAMPLE_BYTES), np.uint8)
    for at in range(SAMPLE_BYTES):  # numpy takes three times as long to copy rows of three
        samples[:, at] = words[:, at + 1]
    return samples.tobytes()


def rounded(waveform: Waveform) -> Waveform:
    """Return a [C, N] waveform as it is read back once it is stored, to the bit."""
    return np.ascontiguousarray(pcm24(waveform).T, np.float32) / np.float32(FULL_SCALE << 8)


def wav_header(samples: int, form: SampleFormat = SampleFormat.PCM_24) -> bytes:
    """Return what precedes the samples of a stereo WAV file of `samples` per channel.

    Plain RIFF up to 4 GiB, RF64 (EBU Tech 3306) beyond.
    """
    length = samples * form.frame_bytes  # even, for a frame is: no pad byte
    is_float = form is SampleFormat.FLOAT_32
    layout = struct.pack(
        "<4sIHHIIHH",
        b"fmt ",
        18 if is_float else 16,
        form.code,
        CHANNELS,
        SAMPLE_RATE,
        SAMPLE_RATE * form.frame_bytes,
        form.frame_bytes,
        8 * form.frame_bytes // CHANNELS,
    )
    if is_float:  # what is not PCM says how long its own fields are, and how many samples it has
        layout += struct.pack("<H4sII", 0, b"fact", 4, min(samples, 0xFFFF_FFFF))
    around = len(layout) + 12  # bytes of RIFF that are not samples
    if around + length <= LONGEST_RIFF:
        riff = struct.pack("<4sI4s", b"RIFF", around + length, b"WAVE")
        return riff + layout + struct.pack("<4sI", b"data", length)
    riff = struct.pack("<4sI4s", b"RF64", 0xFFFF_FFFF, b"WAVE")
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, around + 36 + length, length, samples, 0)
    return riff + sizes + layout + struct.pack("<4sI", b"data", 0xFFFF_FFFF)


def wav_length(samples: int, form: SampleFormat = SampleFormat.PCM_24) -> int:
    """Return the size in bytes of a stereo WAV file of `samples` per channel."""
    return len(wav_header(samples, form)) + samples * form.frame_bytes


def flac_bytes(waveform: Waveform, compression: float | None = None) -> bytes:
    """Encode a [C, N] waveform as a PCM-24 FLAC file: how a clip is stored.

    Args:
        waveform: what is to be stored.
        compression: 0 is fast, 1 small; None is what the encoder thinks best.
    """
    encoded = io.BytesIO()
    soundfile.write(
        encoded,
        pcm24(waveform),
        SAMPLE_RATE,
        format="FLAC",
        subtype="PCM_24",
        compression_level=compression,
    )
    return encoded.getvalue()


def au_bytes(waveform: Waveform) -> bytes:
    """Encode a [C, N] waveform as a float32 AU file: how a seam is stored.

    A seam may exceed ±1, so it stays float; and libsndfile writes the time of day into a float
    WAV file (its PEAK chunk), so that two equal seams would differ.
    """
    encoded = io.BytesIO()
    soundfile.write(encoded, waveform.T, SAMPLE_RATE, format="AU", subtype="FLOAT")
    return encoded.getvalue()
