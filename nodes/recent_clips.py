"""Clips that this process has just made: their neighbors' seams and sums need them once more."""

from collections.abc import Iterable

from audiostory_core.audio.pcm import Waveform

MAX_BYTES = 48 << 20  # two scenes of 20 s in three stems


class RecentClips:
    """What the files of the last clips hold, by name; those used last are kept.

    Used by one thread at a time.

    Args:
        max_bytes: of samples; a clip that is longer is not kept.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._clips: dict[str, Waveform] = {}
        self._bytes = 0

    def add(self, file: str, waveform: Waveform) -> None:
        """Keep a clip, and forget those that are then too many.

        Args:
            file: its content name.
            waveform: [2, N], as it is read from that file; it may not be written to any more.
        """
        if file in self._clips or waveform.nbytes > self._max_bytes:
            return
        waveform.flags.writeable = False
        self._clips[file] = waveform
        self._bytes += waveform.nbytes
        while self._bytes > self._max_bytes:
            self._bytes -= self._clips.pop(next(iter(self._clips))).nbytes

    def find(self, files: Iterable[str]) -> dict[str, Waveform]:
        """Return those of some clips that are kept."""
        known = [file for file in files if file in self._clips]
        for file in known:
            self._clips[file] = self._clips.pop(file)  # to the end, as used last
        return {file: self._clips[file] for file in known}
