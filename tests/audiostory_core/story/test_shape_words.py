"""Shapes in words, for their author and for networks."""

from audiostory_core.story.plan import SoundLayer, SpeechLayer
from audiostory_core.story.shape_words import figures_of, worded


def test_figures_are_those_of_the_fields_that_are_set():
    knocks = SoundLayer(
        kind="sfx", text="knocks", gain_db=-6, pan=-0.5, distance=0.25, start_s=2.5, count=3,
        pace="very fast", fade_in_s=1, fade_out_s=2,
    )  # fmt: skip

    assert list(figures_of(knocks).values()) == [
        "-6 dB", "50% left", "distance 0.25", "from 2.5 s", "fades in over 1 s",
        "fades out over 2 s", "3 times", "very fast pace",
    ]  # fmt: skip
    assert figures_of(SpeechLayer(words="Hi.", pause_before_s=1.5)) == {
        "pause_before_s": "after a pause of 1.5 s"
    }
    assert figures_of(SoundLayer(kind="ambience", text="rain", scenes=3, pan=0)) == {
        "pan": "in the middle",
        "scenes": "in 3 scenes",
    }


def test_caption_without_shapes_is_worded_as_it_is():
    layers = (SoundLayer(kind="sfx", text="rain"), SpeechLayer(words="Hi."))

    assert worded("rain falls", layers) == "rain falls"


def test_caption_says_what_shapes_say():
    layers = (
        SoundLayer(kind="ambience", text="rain", gain_db=-15, start_s=0),
        SoundLayer(kind="sfx", text="a bell", count=2, distance=0.8, pan=0.6, pace="slow"),
        SoundLayer(kind="music", text="a waltz"),
        SpeechLayer(words="Hi.", pause_before_s=2),
    )

    assert worded("at night", layers) == (
        "at night (rain: very quiet, from the start; a bell: on the right, far away, 2 times, slow; "
        "“Hi.”: after a pause of 2 s)"
    )
