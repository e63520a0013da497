import io

import numpy as np
import soundfile

from audiostory_core.audio.pcm import FULL_SCALE, flac_bytes, pcm24, pcm24_bytes, rounded
from tests.support.signals import noise


def test_samples_are_rounded_and_clipped_to_24_bits_and_interleaved():
    step = 1 / FULL_SCALE
    waveform = np.array([[0.0, 0.25, 1.5, -1.5], [step, -0.25, 0.5 * step, 1.0]], np.float32)

    words = pcm24(waveform)

    assert words.dtype == np.int32
    assert words.flags.c_contiguous
    assert (words >> 8).T.tolist() == [
        [0, FULL_SCALE // 4, FULL_SCALE - 1, -FULL_SCALE],
        [1, -FULL_SCALE // 4, 0, FULL_SCALE - 1],
    ]
    assert pcm24_bytes(waveform)[:6] == bytes([0, 0, 0, 1, 0, 0])


def test_rounded_is_what_is_read_back_of_a_stored_clip():
    waveform = noise(3, 5000, 0.5)
    waveform[:, :3] = [[1.5, -1.5, 1.0], [-1.0, 2.0**-24, 0.0]]

    for compression in (None, 0.0, 1.0):
        stored = flac_bytes(waveform, compression)
        read, _ = soundfile.read(io.BytesIO(stored), dtype="float32")
        assert np.array_equal(rounded(waveform), read.T)
    assert rounded(waveform).flags.c_contiguous
