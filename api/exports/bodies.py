"""Audio as HTTP sends it: from a file, or from a mix while it is read."""

from collections.abc import Iterator
from pathlib import Path

from api.exports.media_type import AudioKind
from api.http.byte_range import Body
from audiostory_core.audio.export import wav_bytes
from audiostory_core.audio.mixdown import Mixdown
from audiostory_core.audio.pcm import SampleFormat, wav_length
from storage.errors import StoreUnusable

CHUNK_BYTES = 1 << 18


def wav_body(mix: Mixdown, etag: str, name: str, form: SampleFormat = SampleFormat.PCM_24) -> Body:
    """Return the WAV of a mix; there need be no such file."""

    def read(first: int, last: int) -> Iterator[bytes]:
        with mix:
            yield from wav_bytes(mix, first, last, form)

    return Body(AudioKind.WAV.media_type, etag, name, wav_length(mix.samples, form), read)


def file_body(path: Path, kind: AudioKind, etag: str, name: str) -> Body:
    """Return a file of a kind.

    Raises:
        StoreUnusable: if it is gone.
    """

    def read(first: int, last: int) -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek(first)
            while first <= last:
                chunk = file.read(min(CHUNK_BYTES, last + 1 - first))
                first += len(chunk)
                yield chunk

    try:
        length = path.stat().st_size
    except FileNotFoundError as error:
        raise StoreUnusable(f"{path.name} is gone from the audio folder.") from error
    return Body(kind.media_type, etag, name, length, read)
