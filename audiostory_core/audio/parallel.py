"""Reading a mix on several cores at once: any stretch of it is as good as any other."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from audiostory_core.audio.limiter import BLOCK
from audiostory_core.audio.mixdown import Mixdown
from audiostory_core.audio.pcm import Waveform
from audiostory_core.cores import count_cores

Converted = TypeVar("Converted")
STRETCH = 16 * BLOCK  # samples that a thread reads in a row: FLAC is slow to go back


def convert_blocks(
    mixdown: Mixdown, convert: Callable[[Waveform], Converted]
) -> Iterator[Converted]:
    """Yield what `convert` makes of each block of a mix, in order; see `Mixdown.blocks`.

    Threads do both, a few stretches ahead of the caller: numpy and libsndfile let others work.
    """
    threads = min(count_cores(), -(-mixdown.samples // STRETCH))
    if threads <= 1:
        yield from map(convert, mixdown.blocks())
        return

    def read(start: int) -> list[Converted]:
        stop = min(start + STRETCH, mixdown.samples)
        with Mixdown(mixdown.segments, mixdown.programme) as mix:
            blocks = (mix.read(at, min(at + BLOCK, stop)) for at in range(start, stop, BLOCK))
            return [convert(block) for block in blocks]

    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[list[Converted]]] = deque()
        try:
            for start in range(0, mixdown.samples, STRETCH):
                ahead.append(pool.submit(read, start))
                if len(ahead) > threads:
                    yield from ahead.popleft().result()
            while ahead:
                yield from ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
