"""Writing the mix of a story, or a stem of it, to an author's file."""

from pathlib import Path

from api.exports.service import open_mix
from api.maintenance.repair import read_mended
from api.store import OpenStore
from api.stories.forking import list_writers
from api.terminal import console
from audiostory_core.audio.export import export
from audiostory_core.audio.pcm import SampleFormat
from audiostory_core.errors import BadInput


async def write_mix(store: OpenStore, story_id: str, target: Path, *, is_shown: bool) -> None:
    """Write the mix, with the help of processes that were forked for it.

    Args:
        store: the open data folder.
        story_id: of the story.
        target: ends in .wav or .flac; replaced if it is there.
        is_shown: tell the terminal how far it is.

    Raises:
        BadInput: if the file cannot be written.
        NotFound: if the mix is not made yet.
    """

    async def write() -> None:
        async with store.database.read() as session:
            mix = await open_mix(session, store.audio, story_id)
        with mix, console.export_progress(is_shown, target.name) as on_progress:
            export(mix, target, on_progress, list_writers(mix, store.audio.folder))

    await read_mended(store, write)


async def write_stem(
    store: OpenStore, story_id: str, stem: str, target: Path, *, is_shown: bool = False
) -> None:
    """Write what a stem adds to the mix, before the master gain, as a WAV of 32-bit floats.

    Raises:
        BadInput: if the file is none, or cannot be written.
        NotFound: if the mix is not made yet, or has no such stem.
    """
    if target.suffix.lower() != ".wav":
        problem = "cannot hold a stem, which may exceed full scale"
        raise BadInput("output", str(target), problem, "Let it end in .wav.")

    async def write() -> None:
        async with store.database.read() as session:
            opened = await open_mix(session, store.audio, story_id, stem)
        with opened, console.export_progress(is_shown, target.name) as on_progress:
            export(opened, target, on_progress, form=SampleFormat.FLOAT_32)

    await read_mended(store, write)
