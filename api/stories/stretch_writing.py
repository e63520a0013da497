"""What a forked process does that waits to write a stretch of a mix's file.

Importing this imports whatever that needs, and neither scipy nor an engine: it waits for as long as
clips are made, and keeps what the command writes over meanwhile.
"""

import select
from io import FileIO
from pathlib import Path
from typing import Any

from audiostory_core.audio.export import write_stretch
from audiostory_core.audio.mixdown import MasterGain, Mixdown
from audiostory_core.audio.stems import open_source
from audiostory_core.errors import StudioError
from storage.audio_files import AudioFiles


def write(order: dict[str, Any], pipe: FileIO) -> bool:
    """Carry out an order to write; return whether that went well.

    Args:
        order: which stretch of which mix, and where to.
        pipe: closes when whoever gave the order is gone.
    """

    def go_on(done: int, total: int) -> None:
        if select.select([pipe], [], [], 0)[0]:
            raise BrokenPipeError

    chains = {
        stem: [(path and Path(path), *place) for path, *place in places]
        for stem, places in order["source"]["chains"].items()
    }
    mastering = order["mastering"] and MasterGain(**order["mastering"])
    is_intact = AudioFiles(Path(order["audio"])).is_intact
    source = open_source(chains, order["source"]["balance"], is_intact)
    try:
        with (
            Mixdown(source, mastering) as mix,
            FileIO(order["file"], "r+") as file,
        ):
            write_stretch(mix, file, order["start"], order["stop"], go_on)
    except (StudioError, OSError):  # the command writes it itself then, and tells
        return False
    return True
