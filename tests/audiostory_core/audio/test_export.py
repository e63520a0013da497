import hashlib
import io
import resource
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from audiostory_core.audio.export import check_destination, export, wav_bytes, write_stretch
from audiostory_core.audio.limiter import BLOCK
from audiostory_core.audio.mixdown import MasterGain, Mixdown, MixSegment
from audiostory_core.audio.pcm import SampleFormat, au_bytes, flac_bytes, wav_header, wav_length
from audiostory_core.errors import BadInput, StudioError
from tests.support.permissions import respect_permissions
from tests.support.signals import kept, noise, spiky, stitched

MASTER_GAIN = MasterGain(4.0, limiting=True)


@pytest.fixture(scope="module")
def segments(tmp_path_factory) -> tuple[MixSegment, ...]:
    scenes, tail = [70_001, 90_007, 50_000], 30_000
    clips = [spiky(k, n + (tail if k < 2 else 0), 4) for k, n in enumerate(scenes)]
    return tuple(stitched(tmp_path_factory.mktemp("clips"), clips, scenes, tail))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".FLAC"])
def test_export_holds_the_mix_to_the_last_bit_of_24(tmp_path, segments, suffix) -> None:
    path = tmp_path / f"story{suffix}"
    with Mixdown(segments, MASTER_GAIN) as mix:
        export(mix, path)
        expected = mix.read(0, mix.samples)

    read, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate == 44_100
    assert read.shape == (210_008, 2)
    assert soundfile.info(path).subtype == "PCM_24"
    assert np.abs(read.T - expected).max() <= 2**-24
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_export_writes_the_same_bytes_twice(tmp_path, segments, suffix) -> None:
    digests = set()
    for name in ("a", "b"):
        with Mixdown(segments, MASTER_GAIN) as mix:
            export(mix, tmp_path / f"{name}{suffix}")
        digests.add(hashlib.sha256((tmp_path / f"{name}{suffix}").read_bytes()).hexdigest())

    assert len(digests) == 1


class _OtherWriter:
    """Writes through a mix and a file of its own, as another process does; or ends midway."""

    def __init__(self, segments, last_block: int | None = None) -> None:
        self._segments = segments
        self._last_block = last_block
        self.stretch = (0, 0)

    def begin(self, file, start: int, stop: int) -> None:
        self.stretch = (start, stop)
        if self._last_block is not None:
            stop = min(start + self._last_block * BLOCK, stop)
        with Mixdown(self._segments, MASTER_GAIN) as mix, io.FileIO(file, "r+") as written:
            write_stretch(mix, written, start, stop, lambda done, total: None)

    def finish(self) -> bool:
        return self._last_block is None


@pytest.mark.parametrize("last_blocks", [[None], [None, None, None], [0], [None, 1, 0]])
def test_file_written_by_several_is_that_of_one(tmp_path, segments, last_blocks) -> None:
    alone, shared = tmp_path / "alone.wav", tmp_path / "shared.wav"
    writers = [_OtherWriter(segments, last_block) for last_block in last_blocks]
    with Mixdown(segments, MASTER_GAIN) as mix:
        export(mix, alone)
        export(mix, shared, writers=writers)

    assert shared.read_bytes() == alone.read_bytes()
    assert writers[-1].stretch[1] == 210_008
    assert writers[0].stretch[0] > 0


def test_export_tells_its_progress_to_the_end(tmp_path, segments) -> None:
    told: list[tuple[int, int]] = []
    with Mixdown(segments) as mix:
        export(mix, tmp_path / "story.wav", lambda done, total: told.append((done, total)))

    assert told == [(BLOCK, 210_008), (2 * BLOCK, 210_008), (3 * BLOCK, 210_008), (210_008,) * 2]


def test_export_clips_what_no_mastering_has_limited(tmp_path) -> None:
    path = tmp_path / "loud.au"
    path.write_bytes(au_bytes(3 * noise(1, 1000, 1.0)))

    with Mixdown([MixSegment(path, 0, 1000)]) as mix:
        export(mix, tmp_path / "loud.wav")

    read, _ = soundfile.read(tmp_path / "loud.wav")
    assert read.max() == 1 - 2**-23
    assert read.min() == -1.0


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0, 0),
        (0, 43),
        (10, 44),
        (43, 1000),
        (44, 44),
        (45, 52),
        (44 + 6 * BLOCK - 1, 44 + 6 * BLOCK),
        (44 + 6 * BLOCK + 5, 44 + 12 * BLOCK + 7),
        (1_260_091, 1_260_091),
        (0, 1_260_091),
    ],
)
def test_wav_bytes_are_those_of_the_exported_file(tmp_path, segments, first, last) -> None:
    path = tmp_path / "story.wav"
    with Mixdown(segments, MASTER_GAIN) as mix:
        export(mix, path)
    exported = path.read_bytes()

    with Mixdown(segments, MASTER_GAIN) as mix:
        served = b"".join(wav_bytes(mix, first, last))

    assert len(exported) == wav_length(210_008) == 1_260_092
    assert served == exported[first : last + 1]


def test_wav_bytes_refuses_a_range_outside(segments) -> None:
    with Mixdown(segments) as mix, pytest.raises(ValueError, match="not within"):
        next(wav_bytes(mix, 0, 1_260_092))


def test_wav_header_beyond_4_gib_is_rf64() -> None:
    most = (0xFFFF_FFFF - 36) // SampleFormat.PCM_24.frame_bytes
    day = 24 * 3600 * 44_100

    assert wav_header(most)[:4] == b"RIFF"
    assert wav_header(most + 1)[:4] == b"RF64"
    riff, data, samples = struct.unpack("<QQQ", wav_header(day)[20:44])
    assert (data, samples) == (day * SampleFormat.PCM_24.frame_bytes, day)
    assert riff == wav_length(day) - 8


def test_wav_header_of_rf64_is_read_by_libsndfile(tmp_path) -> None:
    path = tmp_path / "long.wav"
    samples = 800_000_000
    with path.open("wb") as file:
        file.write(wav_header(samples))
        file.truncate(wav_length(samples))  # sparse: takes no space

    info = soundfile.info(path)

    assert (info.frames, info.format, info.subtype) == (samples, "RF64", "PCM_24")


def test_stored_clips_and_seams_have_the_same_bytes_twice() -> None:
    waveform = noise(1, 5000, 0.7)

    assert flac_bytes(waveform) == flac_bytes(waveform)
    assert au_bytes(3 * waveform) == au_bytes(3 * waveform)


def test_export_replaces_a_file_only_when_it_is_whole(tmp_path, segments) -> None:
    path = tmp_path / "story.wav"
    path.write_bytes(b"the old one")
    missing = MixSegment(tmp_path / "gone.flac", 0, 1000)

    with Mixdown([*segments, missing]) as mix, pytest.raises(StudioError, match=r"gone\.flac"):
        export(mix, path)

    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]


def test_export_leaves_nothing_behind_when_interrupted(tmp_path, segments) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with Mixdown(segments) as mix, pytest.raises(KeyboardInterrupt):
        export(mix, tmp_path / "story.flac", interrupt)

    assert list(tmp_path.iterdir()) == []


def test_export_follows_a_link(tmp_path, segments) -> None:
    (tmp_path / "real.wav").write_bytes(b"old")
    (tmp_path / "link.wav").symlink_to("real.wav")

    with Mixdown(segments) as mix:
        export(mix, tmp_path / "link.wav")

    assert (tmp_path / "link.wav").is_symlink()
    assert (tmp_path / "real.wav").stat().st_size == wav_length(210_008)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("story", "suffix"),
        ("story.mp3", "suffix"),
        ("missing/story.wav", "does not exist"),
        ("folder.wav", "is not a file"),
        ("x" * 300 + ".wav", "name too long"),
        ("file.txt/story.wav", "does not exist"),
    ],
)
def test_destination_that_cannot_be_is_explained(tmp_path, segments, name, problem) -> None:
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file.txt").write_text("")
    before = sorted(tmp_path.iterdir())

    with pytest.raises(BadInput, match=f"(?i){problem}") as caught:
        check_destination(tmp_path / name)
    with Mixdown(segments) as mix, pytest.raises(BadInput, match=f"(?i){problem}"):
        export(mix, tmp_path / name)

    assert caught.value.field == "output"
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_destination_that_can_be_is_left_as_it_was(tmp_path) -> None:
    (tmp_path / "there.flac").write_bytes(b"kept")

    check_destination(tmp_path / "there.flac")
    check_destination(tmp_path / "new.wav")

    assert [path.name for path in tmp_path.iterdir()] == ["there.flac"]
    assert (tmp_path / "there.flac").read_bytes() == b"kept"


def child(script: str, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


EXPORT = """
import sys
from pathlib import Path
from audiostory_core.audio.export import export
from audiostory_core.audio.mixdown import Mixdown, MixSegment
from audiostory_core.errors import BadInput
try:
    with Mixdown([MixSegment(Path(sys.argv[1]), 0, 200_000)]) as mix:
        export(mix, Path(sys.argv[2]))
except BadInput as error:
    sys.exit(f"{error.field}|{error}")
"""


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize("room", [0, 10, 4000, 300_001, 640_000])
def test_export_to_a_full_disk_is_explained_and_leaves_nothing(tmp_path, suffix, room) -> None:
    clip = kept(tmp_path, "clip", noise(1, 200_000))
    folder = tmp_path / "out"
    folder.mkdir()

    ended = child(
        EXPORT,
        clip.path,
        folder / f"story{suffix}",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("output|")
    assert "File too large" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(folder.iterdir()) == []


def test_export_without_permission_is_explained(tmp_path) -> None:
    clip = kept(tmp_path, "clip", noise(1, 200_000))
    folder = tmp_path / "out"
    folder.mkdir(mode=0o555)

    ended = child(EXPORT, clip.path, folder / "story.wav", preexec_fn=respect_permissions)

    assert ended.returncode == 1
    assert ended.stderr.startswith("output|")
    assert "denied" in ended.stderr
    assert list(folder.iterdir()) == []


def test_reading_and_exporting_need_neither_scipy_nor_matplotlib() -> None:
    script = """
import sys
import audiostory_core.audio.export, audiostory_core.audio.crossfade
heavy = {"scipy", "matplotlib", "torch", "audiostory_core.engines"} & set(sys.modules)
sys.exit(", ".join(sorted(heavy)) or 0)
"""

    ended = child(script)

    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr


def test_wav_of_floats_may_exceed_full_scale(tmp_path) -> None:
    loud = tmp_path / "loud.au"
    waveform = np.array([[1.5, -2.0, 0.25]] * 2, np.float32)
    loud.write_bytes(au_bytes(waveform))

    with Mixdown([MixSegment(loud, 0, 3)]) as mix:
        export(mix, tmp_path / "stem.wav", form=SampleFormat.FLOAT_32)
        served = b"".join(
            wav_bytes(mix, 0, wav_length(3, SampleFormat.FLOAT_32) - 1, SampleFormat.FLOAT_32)
        )

    assert (tmp_path / "stem.wav").read_bytes() == served
    assert np.array_equal(soundfile.read(tmp_path / "stem.wav", dtype="float32")[0].T, waveform)
    header = wav_header(2**30, SampleFormat.FLOAT_32)  # 8 GiB of samples
    riff, data, samples = struct.unpack("<QQQ", header[20:44])
    assert (header[:4], data, samples) == (b"RF64", 2**33, 2**30)
    assert riff == wav_length(2**30, SampleFormat.FLOAT_32) - 8
