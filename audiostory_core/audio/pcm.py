"""Waveforms as the bytes of files: PCM-24 for clips and mixes, float32 for seams.

The same samples and the same bytes for every container and every way of asking for them.
"""

import io
import struct

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiostory_core.story.plan import CHANNELS, SAMPLE_RATE

Waveform = NDArray[np.float32]  # [C, N]

SAMPLE_BYTES = 3  # of PCM-24
FRAME_BYTES = CHANNELS * SAMPLE_BYTES
FULL_SCALE = 1 << 23
LONGEST_RIFF = 0xFFFF_FFFF  # bytes; RF64 beyond


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


def wav_header(samples: int) -> bytes:
    """Return what precedes the samples of a stereo PCM-24 WAV file of `samples` per channel.

    Plain RIFF up to 4 GiB, RF64 (EBU Tech 3306) beyond.
    """
    length = samples * FRAME_BYTES  # even, for a frame is: no pad byte
    layout = struct.pack(
        "<4sIHHIIHH",
        b"fmt ",
        16,
        1,  # PCM
        CHANNELS,
        SAMPLE_RATE,
        SAMPLE_RATE * FRAME_BYTES,
        FRAME_BYTES,
        8 * SAMPLE_BYTES,
    )
    if 36 + length <= LONGEST_RIFF:
        riff = struct.pack("<4sI4s", b"RIFF", 36 + length, b"WAVE")
        return riff + layout + struct.pack("<4sI", b"data", length)
    riff = struct.pack("<4sI4s", b"RF64", 0xFFFF_FFFF, b"WAVE")
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, 72 + length, length, samples, 0)
    return riff + sizes + layout + struct.pack("<4sI", b"data", 0xFFFF_FFFF)


def wav_length(samples: int) -> int:
    """Return the size in bytes of a stereo PCM-24 WAV file of `samples` per channel."""
    return len(wav_header(samples)) + samples * FRAME_BYTES


def flac_bytes(waveform: Waveform) -> bytes:
    """Encode a [C, N] waveform as a PCM-24 FLAC file: how a clip is stored."""
    encoded = io.BytesIO()
    soundfile.write(encoded, pcm24(waveform), SAMPLE_RATE, format="FLAC", subtype="PCM_24")
    return encoded.getvalue()


def au_bytes(waveform: Waveform) -> bytes:
    """Encode a [C, N] waveform as a float32 AU file: how a seam is stored.

    A seam may exceed ±1, so it stays float; and libsndfile writes the time of day into a float
    WAV file (its PEAK chunk), so that two equal seams would differ.
    """
    encoded = io.BytesIO()
    soundfile.write(encoded, waveform.T, SAMPLE_RATE, format="AU", subtype="FLOAT")
    return encoded.getvalue()
