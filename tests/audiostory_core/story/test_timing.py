from itertools import pairwise

import pytest

from audiostory_core.story.lengths import spoken_s
from audiostory_core.story.plan import SoundLayer, SpeechLayer, SubEvent
from audiostory_core.story.timing import inherit, starts_of

RAIN = SoundLayer(kind="ambience", text="rain")
KNOCK = SoundLayer(kind="sfx", text="a knock")
LINE = SpeechLayer(words="Who is there at this hour?")


def _event(*layers, duration_s=12.0):
    return SubEvent(caption="a scene", duration_s=duration_s, layers=layers)


@pytest.mark.parametrize("layers", [(), (LINE, LINE), (RAIN, KNOCK, KNOCK), (RAIN, LINE)])
def test_scene_in_which_nothing_takes_turns_with_speech_needs_no_starts(layers):
    assert starts_of(_event(*layers)) is None


def test_turns_start_in_order_and_lines_have_the_time_they_take():
    knock, line, second, last = starts_of(_event(KNOCK, LINE, KNOCK, LINE))

    assert knock == 0.5
    assert line - knock >= 1.5
    assert second - line >= spoken_s(LINE.words)
    assert last + spoken_s(LINE.words) <= 12.0


def test_beds_and_music_have_no_start():
    music = SoundLayer(kind="music", text="a piano")

    starts = starts_of(_event(RAIN, KNOCK, music, LINE))

    assert [start_s is None for start_s in starts] == [True, False, True, False]


@pytest.mark.parametrize("duration_s", [0.5, 2.0, 4.0])
def test_turns_that_do_not_fit_are_squeezed_into_the_scene(duration_s):
    starts = starts_of(_event(KNOCK, LINE, KNOCK, LINE, duration_s=duration_s))

    assert starts[0] == 0.0
    assert all(first < second for first, second in pairwise(starts))
    assert starts[-1] < duration_s


def test_pause_comes_before_its_line():
    pausing = LINE.model_copy(update={"pause_before_s": 2.0})
    plain, paused = (starts_of(_event(KNOCK, line, duration_s=30.0))[1] for line in (LINE, pausing))

    assert paused == pytest.approx(plain + 1.0)  # 2.0 s, and half as much less in both gaps


def test_what_its_author_starts_at_a_time_stays_there_and_takes_no_turn():
    late = KNOCK.model_copy(update={"start_s": 9.5})
    early = LINE.model_copy(update={"start_s": 0.0})

    starts = starts_of(_event(late, early, KNOCK, LINE))

    assert starts[:2] == (9.5, 0.0)
    assert starts[2:] == starts_of(_event(KNOCK, LINE))


def test_line_waits_for_the_one_before_it():
    first = LINE.model_copy(update={"start_s": 8.0})

    _, _, second = starts_of(_event(KNOCK, first, LINE))

    assert second == pytest.approx(8.0 + spoken_s(LINE.words), abs=0.01)


def test_other_words_keep_the_starts_and_anything_else_does_not():
    before = _event(KNOCK, LINE)
    starts = (0.1, 4.2)
    reworded = LINE.model_copy(update={"words": "Is it you, after all these years?"})
    whispered = LINE.model_copy(update={"manner": "whispering"})

    assert inherit(starts, before, _event(KNOCK, reworded)) == starts
    assert inherit(starts, before, _event(KNOCK, whispered)) == starts
    for after in (
        _event(KNOCK, LINE, duration_s=13.0),
        _event(LINE, KNOCK),
        _event(KNOCK.model_copy(update={"text": "a bell"}), LINE),
        _event(KNOCK, LINE.model_copy(update={"pause_before_s": 1.0})),
        _event(RAIN, LINE),
    ):
        assert inherit(starts, before, after) == starts_of(after) != starts
