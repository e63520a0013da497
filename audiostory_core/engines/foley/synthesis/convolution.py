"""Long sounds through a room: overlap-add in which silence costs nothing."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from audiostory_core.audio import filters

Single = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Convolution:
    """A response that sounds are convolved with.

    To the bit what `scipy.signal.oaconvolve` makes, in blocks of the same length: but the response
    is transformed once for all sounds, and blocks of silence are passed over.

    Args:
        response: [C, K].
    """

    response: Single

    def __call__(self, sound: Single) -> Single:
        """Return [C, N]: a sound of [N] convolved with each channel, cut at its end."""
        if sound.size <= self._block:
            return filters.oaconvolve(sound[None, :], self.response, axes=-1)[:, : sound.size]
        channels, length = self.response.shape
        step = self._block - length + 1
        total = np.zeros((channels, sound.size + self._block), np.float32)
        for at in range(0, sound.size, step):
            heard = sound[at : at + step]
            if heard.any():
                spectrum = fft.rfft(heard[None, :], self._block) * self._spectrum
                total[:, at : at + self._block] += fft.irfft(spectrum, self._block)
        return total[:, : sound.size]

    @cached_property
    def _block(self) -> int:
        """Samples of a transform for which a sample of sound takes the least time.

        A block of N takes N log2(2N) and yields N - K samples, so that N = K (ln 2N + 1) is best.
        """
        overlap = max(self.response.shape[1] - 1, 1)
        block = 16.0 * overlap
        for _ in range(32):  # each time a tenth as far away
            block = overlap * (math.log(2 * block) + 1)
        return int(fft.next_fast_len(math.ceil(block)))

    @cached_property
    def _spectrum(self) -> NDArray[np.complex64]:
        spectrum: NDArray[np.complex64] = fft.rfft(self.response, self._block)
        return spectrum
