"""What the job of a clip renders is what the step stitch lays out."""

from pathlib import Path

import pytest

from audiostory_core.audio.pcm import flac_bytes, rounded
from audiostory_core.stem import Stem
from audiostory_core.story.mix import MixSettings
from nodes.segments import Lacking, lacking_around, lay_out, render
from nodes.services import Services
from storage.audio_files import AudioFiles
from storage.database import Database
from storage.mixes import Heard
from tests.support.signals import noise

FILES = ["a", "b", "c", "d", "e"]
LENGTHS = [90_000, 80_001, 5, 1, 70_000]  # the seam between 5 and 1 has no sample
TAIL = 30_000


def _scenes(made: set[int]) -> list[Heard]:
    return [
        Heard(length, {"composite": FILES[at] if at in made else None})
        for at, length in enumerate(LENGTHS)
    ]


def _all() -> list[str]:
    cells = lay_out(_scenes(set(range(len(FILES)))), [Stem.COMPOSITE], TAIL)
    return [cell.pieces[Stem.COMPOSITE].key for cell in cells]


def _around(place: int, made: set[int]) -> list[str]:
    return list(lacking_around(_scenes(made), place, Stem.COMPOSITE, MixSettings(), TAIL))


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]])
def test_each_segment_is_rendered_once_when_the_last_clip_it_needs_is_made(order):
    made: set[int] = set()
    rendered = []
    for place in order:
        made.add(place)
        rendered += _around(place, made)

    assert sorted(rendered) == sorted(_all())


def test_clip_whose_neighbors_are_not_made_has_its_body():
    [body] = _around(1, {1})

    assert body in _all()


def test_segments_of_a_clip_at_hand_are_those_of_its_file_to_the_bit(tmp_path: Path):
    audio = AudioFiles(tmp_path / "audio")
    services = Services(Database(tmp_path / "studio.db"), audio, {}, {})
    clips = [noise(seed, LENGTHS[seed] + TAIL, 0.2) for seed in (0, 1)]
    files = [audio.add(".flac", flac_bytes(clip)) for clip in clips]
    scenes = [Heard(LENGTHS[at], {"composite": file}) for at, file in enumerate(files)]
    cells = lay_out(scenes, [Stem.COMPOSITE], TAIL)
    pieces = [Lacking(cell.pieces[Stem.COMPOSITE]) for cell in cells]
    from_files = [render(piece, services) for piece in pieces]

    for file, clip in zip(files, clips, strict=True):
        read = {file: rounded(clip)}

        assert [render(piece, services, read) for piece in pieces] == from_files

    read = {files[0]: rounded(-clips[0])}
    assert [render(piece, services, read) for piece in pieces] != from_files
