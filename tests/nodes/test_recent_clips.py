import numpy as np
import pytest

from nodes.recent_clips import RecentClips


def clip(level: float, samples: int = 100) -> np.ndarray:
    return np.full((2, samples), level, np.float32)


@pytest.fixture
def clips():
    recent = RecentClips(max_bytes=2 * clip(0.0).nbytes)
    recent.add("a", clip(0.1))
    recent.add("b", clip(0.2))
    return recent


def test_clips_that_were_used_last_are_kept(clips):
    assert list(clips.find(["a", "unknown"])) == ["a"]

    clips.add("c", clip(0.3))

    kept = clips.find(["a", "b", "c"])
    assert {file: waveform[0, 0] for file, waveform in kept.items()} == {
        "a": np.float32(0.1),
        "c": np.float32(0.3),
    }


def test_clip_that_is_added_again_takes_no_room_twice(clips):
    clips.add("b", clip(0.2))
    clips.add("b", clip(0.2))

    assert sorted(clips.find(["a", "b"])) == ["a", "b"]


def test_clip_too_long_to_be_kept_drives_no_other_out(clips):
    clips.add("long", clip(0.4, 201))

    assert sorted(clips.find(["a", "b", "long"])) == ["a", "b"]


def test_what_is_kept_cannot_be_changed(clips):
    with pytest.raises(ValueError, match="read-only"):
        clips.find(["a"])["a"][:] = 0.0
