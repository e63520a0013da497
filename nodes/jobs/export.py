"""The export job: a mix, or a stem of it, becomes a file.

What it is made from is verified before the file is kept, and the file is in place before its row.
"""

import asyncio
import io
from collections.abc import Sequence

from audiostory_core.audio.export_request import ExportRequest
from audiostory_core.audio.mixdown import Mixdown
from audiostory_core.errors import Cancelled, StudioError, UnreadableAudio
from nodes.jobs.watching import BatchProgress, watch_claimed
from nodes.patience import patiently
from nodes.services import Services
from storage import exports, work
from storage.audio_files import AudioFiles
from storage.models import Work


async def make_export(claimed: Sequence[Work], services: Services) -> int:
    """Make the file of an export and complete it.

    It is given back when nobody waits for it any more, or the process is to end.

    Returns:
        How much was completed: 1, or 0 if another worker took it over.
    """
    [export] = claimed
    watch = BatchProgress(1)
    watching = asyncio.create_task(watch_claimed(claimed, watch, services))
    try:
        file, size = await asyncio.to_thread(_make, export.request or "", watch, services.audio)
    except Cancelled:
        await patiently(lambda: _give_back(export, services), services)
        return 0
    except StudioError as error:
        reason = _in_words(error)
        await patiently(lambda: _fail(export, reason, services), services)
        return 0
    finally:
        watch.lose()  # whatever ended this, the thread ends too
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return await patiently(lambda: _complete(export, file, size, services), services)


def _make(text: str, watch: BatchProgress, audio: AudioFiles) -> tuple[str, int]:
    request = ExportRequest.parse(text)
    mixdown = request.open(audio.path, audio.is_intact)

    def write(file: io.FileIO) -> None:
        with mixdown:
            request.write(mixdown, file, lambda done, total: watch.step(0, done / total))
        _verify(mixdown, watch, audio)  # a file may have been damaged after it was opened

    _verify(mixdown, watch, audio)
    return audio.add_written(f".{request.format}", write, request.longest(mixdown.samples))


def _verify(mixdown: Mixdown, watch: BatchProgress, audio: AudioFiles) -> None:
    for path in dict.fromkeys(part.path for part in mixdown.segments):
        watch.step(0, watch.shares[0])
        if not audio.is_intact(path):
            raise UnreadableAudio(path, "is missing or damaged")


def _in_words(error: StudioError) -> str:
    if isinstance(error, UnreadableAudio):  # the folder is nobody's business but the operator's
        problem = str(error).replace(str(error.path), error.path.name)
        return f"{problem}. Have it made again with `audiostory resume ID`, then export again."
    return str(error)


async def _complete(export: Work, file: str, size: int, services: Services) -> bool:
    async with services.database.write() as session:
        return await exports.complete(session, export, file, size)


async def _fail(export: Work, error: str, services: Services) -> None:
    async with services.database.write() as session:
        await work.fail(session, export, error)


async def _give_back(export: Work, services: Services) -> None:
    async with services.database.write() as session:
        await work.give_back(session, [export])
