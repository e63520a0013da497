"""Notes on lines of a plan that was written by hand."""

import pytest

from audiostory_core.engines.foley.engine import Foley
from audiostory_core.planners.plan_notes import notes_on_lines, notes_on_shapes
from audiostory_core.story.plan import CastMember, SoundLayer, SpeechLayer, SubEvent
from tests.support.foley_fakes import KINDS, ToneVoice, lexicon

ANNA = CastMember(name="Anna")


@pytest.fixture(scope="module")
def foley():
    return Foley(KINDS, lexicon(), ToneVoice()).capabilities


def _scene(speaker=None, manner=None):
    line = SpeechLayer(words="Hello", speaker=speaker, manner=manner)
    return SubEvent(caption="a line", duration_s=2.0, layers=(line,))


def test_manner_that_is_not_known_is_noted_with_those_that_are(foley):
    (note,) = notes_on_lines({2: _scene(manner="flabbergasted")}, [], foley)

    assert note.startswith("Scene 2: the manner “flabbergasted” is not known")
    assert "whispering, murmuring, shouting" in note


@pytest.mark.parametrize("manner", ["whispering", "WHISPERS", "very softly", "大声", None])
def test_manner_that_is_known_is_not_noted(foley, manner):
    assert list(notes_on_lines({1: _scene(manner=manner)}, [], foley)) == []


def test_speaker_who_is_not_in_the_cast_is_noted_with_those_who_are(foley):
    (note,) = notes_on_lines({1: _scene("Ana"), 2: _scene("Anna")}, [ANNA], foley)

    assert note.startswith("Scene 1: the speaker “Ana” is not in the cast")
    assert note.endswith("The cast is: Anna.")


def test_speakers_of_a_plan_without_a_cast_need_none(foley):
    assert list(notes_on_lines({1: _scene("Ana")}, [], foley)) == []


def test_layer_that_reaches_over_the_end_or_starts_after_its_scene_is_noted():
    layers = [
        SoundLayer(kind="ambience", text="rain", scenes=3),
        SoundLayer(kind="ambience", text="wind", scenes=2),
        SoundLayer(kind="sfx", text="a bell", start_s=2.5),
        SoundLayer(kind="sfx", text="a gong", start_s=1.5),
        SpeechLayer(words="Late.", start_s=2),
    ]
    scenes = [SubEvent(caption="a scene", duration_s=2, layers=layers[:2])]
    scenes.append(SubEvent(caption="a scene", duration_s=2, layers=layers[2:]))

    assert list(notes_on_shapes(scenes)) == [
        "Scene 1: “rain” is to be heard in 3 scenes, but 2 are left; it ends with the story.",
        "Scene 2: “a bell” starts after 2.5 s, when its scene is over, and is not heard.",
        "Scene 2: “Late.” starts after 2 s, when its scene is over; it is spoken earlier.",
    ]
