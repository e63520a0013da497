import pytest

from audiostory_core.engines.protocol import Capabilities
from audiostory_core.stem import Stem
from audiostory_core.story.plan import SoundLayer, SpeechLayer, SubEvent
from audiostory_core.story.stems import stem_of, stem_view, stems_of
from tests.support.cards import card_of

RAIN = SoundLayer(kind="ambience", text="rain")
KNOCK = SoundLayer(kind="sfx", text="three knocks")
PIANO = SoundLayer(kind="music", text="a piano")
LINE = SpeechLayer(words="Who is there?", speaker="Anna")


def _event(*layers, caption="Anna waits", duration_s=8.0):
    return SubEvent(caption=caption, duration_s=duration_s, layers=layers)


def _engines(*stems, composite=True, continuous=()):
    makes = Capabilities.of(card_of("e", composite=composite, continuous=continuous), "1")
    return dict.fromkeys(stems, makes)


ALL = (Stem.DIALOGUE, Stem.MUSIC, Stem.EFFECTS)


@pytest.mark.parametrize(
    ("layer", "stem"),
    [(RAIN, "effects"), (KNOCK, "effects"), (PIANO, "music"), (LINE, "dialogue")],
)
def test_each_layer_is_heard_in_one_stem(layer, stem):
    assert stem_of(layer) == stem


@pytest.mark.parametrize(
    ("layers", "continuous", "stems"),
    [
        ((KNOCK, LINE, PIANO), (), ["dialogue", "music", "effects"]),
        ((PIANO,), (), ["music"]),
        ((LINE,), ("effects",), ["dialogue", "effects"]),
        ((KNOCK,), ("music", "dialogue"), ["dialogue", "music", "effects"]),
    ],
)
def test_scene_needs_the_stems_of_its_layers_and_what_goes_on(layers, continuous, stems):
    needed = stems_of(_event(*layers), 2, _engines(*ALL, continuous=continuous))

    assert list(needed) == stems


@pytest.mark.parametrize(
    ("layers", "version", "engines", "stem"),
    [
        ((LINE, KNOCK), 2, {}, "composite"),
        ((), 2, _engines(*ALL), "composite"),
        ((), 2, _engines(*ALL, composite=False), "effects"),
        ((LINE, KNOCK), 1, _engines(*ALL), "composite"),
        ((LINE, KNOCK), 1, _engines(Stem.DIALOGUE), "effects"),
    ],
)
def test_scene_that_is_not_taken_apart_is_one_clip(layers, version, engines, stem):
    assert stems_of(_event(*layers), version, engines) == (stem,)


def test_stem_that_only_engines_of_others_keep_going_is_not_needed():
    engines = _engines(Stem.EFFECTS, continuous=("music", "effects"))

    assert stems_of(_event(KNOCK), 2, engines) == (Stem.EFFECTS,)


def test_view_has_the_layers_of_its_stem_at_their_starts():
    event = _event(RAIN, KNOCK, LINE, SpeechLayer(words="Yes.", start_s=7.0))
    starts = (None, 0.5, 2.25, 6.0)

    effects, dialogue = (stem_view(event, stem, starts) for stem in ("effects", "dialogue"))

    assert effects.layers == (RAIN, KNOCK.model_copy(update={"start_s": 0.5}))
    assert effects.caption == "rain, three knocks"
    assert [layer.start_s for layer in dialogue.layers] == [2.25, 7.0]
    assert stem_view(event, Stem.MUSIC, starts) == ("", ())


def test_starts_are_those_of_the_last_layers_where_others_reach_in():
    event = _event(RAIN, KNOCK, LINE)

    assert stem_view(event, Stem.EFFECTS, (1.5, 3.0)).layers[1].start_s == 1.5


def test_caption_stays_where_it_names_nothing_else():
    event = _event(RAIN, KNOCK)

    assert stem_view(event, Stem.EFFECTS) == ("Anna waits", (RAIN, KNOCK))
    assert stem_view(_event(), Stem.EFFECTS) == ("Anna waits", ())
    assert stem_view(_event(RAIN, LINE), Stem.EFFECTS, version=1) == ("Anna waits", (RAIN,))


def test_composite_view_is_the_scene_as_it_is():
    event = _event(RAIN, KNOCK, LINE)

    assert stem_view(event, Stem.COMPOSITE, (None, 1.0, 3.0)) == (event.caption, event.layers)


def test_other_words_leave_the_views_of_other_stems():
    before, after = (
        _event(RAIN, KNOCK, LINE.model_copy(update={"words": words}), PIANO, caption=words)
        for words in ("Who is there?", "Is it you, finally, after so many years?")
    )

    for stem in (Stem.EFFECTS, Stem.MUSIC):
        assert stem_view(before, stem) == stem_view(after, stem)
