"""Shapes that an engine does not honor: a toy in a host makes steady tones, the studio the rest."""

import json
import os
import sys

import numpy as np
import pytest
import soundfile
from sqlalchemy import select

from audiostory_core.engines.card import read_card
from audiostory_core.engines.host.engine import HostedEngine
from audiostory_core.story.lengths import spoken_s
from audiostory_core.story.plan import short_seconds
from storage.models import Clip, RunState
from tests.support.author import Author, tone_in_catalog
from tests.support.cards import ENGINES, TOY, engines_in
from tests.support.fakes import ToneEngine
from tests.support.postgres import ON_BOTH_DATABASES

RATE = 44_100
TAIL = RATE // 2  # samples
SCENE = 4 * RATE
LEVEL = 0.2  # of the toy's squares
RAIN = {"kind": "ambience", "text": "rain"}
KNOCK = {"kind": "sfx", "text": "a knock"}
LINE = {"kind": "speech", "words": "Who is there?"}


@pytest.fixture(autouse=True)
def _known():
    with tone_in_catalog(), engines_in(ENGINES, TOY):
        yield


@pytest.fixture
def toy(studio):
    card = read_card(TOY, "a test")
    engine = HostedEngine(card, (sys.executable, "-I", "-S"), {"PATH": os.environ["PATH"]})
    studio.engines["toy"] = engine
    yield engine
    engine.close()


async def _finished(studio, *scenes, **values):
    """Make a story with a scene for each list of layers, and one without a shape at the end."""
    plan = {
        "version": 2,
        "instruction": "tones",
        "language": "en",
        "sub_events": [
            {"caption": "a tone", "duration_s": SCENE / RATE, "layers": layers}
            for layers in (*scenes, [RAIN])
        ],
    }
    chosen = {"engine": "toy", "parameters": {"shape": "square"}, "tail_s": TAIL / RATE} | values
    story = await studio.add("tones", given_plan=plan, **chosen)
    run = await studio.run(story.id)
    assert run.state == RunState.FINISHED, run.error
    return Author(studio, story.id)


async def _clips(author, stem=None):
    """Return request and waveform of each scene's clip."""
    made = []
    for scene in await author.scenes():
        keys = {heard.stem: heard.clip for heard in scene.stems}
        async with author.studio.store.database.read() as session:
            clip = await session.scalar(select(Clip).where(Clip.key == keys.get(stem, scene.clip)))
        samples, _ = soundfile.read(author.studio.store.audio.path(clip.file), dtype="float32")
        made.append((json.loads(clip.request), samples.T))
    return made


async def _notes(author):
    return (await author.revision()).plan["notes"]


def _db(level):
    return 20 * np.log10(level)


@ON_BOTH_DATABASES
@pytest.mark.parametrize("gain_db", [-24.0, -6.0, 3.0])
async def test_level_differs_by_the_gain(studio, toy, gain_db):
    author = await _finished(studio, [RAIN | {"gain_db": gain_db}])

    (request, shaped), (_, plain) = await _clips(author)

    assert shaped.shape == (2, SCENE + TAIL)
    assert _db(np.abs(shaped).max() / np.abs(plain).max()) == pytest.approx(gain_db, abs=0.01)
    assert np.ptp(np.abs(shaped)) < 1e-6  # steady, in the tail too
    assert request["shape"] == {"gain_db": gain_db}
    assert request["layers"] == [RAIN]  # the engine is not to do it, too
    assert await _notes(author) == []


async def test_gain_beyond_full_scale_is_as_loud_as_can_be_and_says_so(studio, toy):
    author = await _finished(studio, [RAIN | {"gain_db": 12.0, "pan": 1.0}])

    (_, shaped), _ = await _clips(author)
    scene, _ = await author.scenes()

    lost_db = _db(LEVEL) + 12 + _db(np.sqrt(2)) + 0.1
    assert _db(np.abs(shaped).max()) == pytest.approx(-0.1, abs=0.001)
    assert scene.flags == []
    assert f"{lost_db:.1f} dB quieter" in scene.warnings[0]


@pytest.mark.parametrize("pan", [-1.0, -0.5, 0.25, 1.0])
async def test_pan_moves_the_tone_at_equal_power(studio, toy, pan):
    author = await _finished(studio, [RAIN | {"pan": pan}])

    (_, (left, right)), _ = await _clips(author)

    powers = [np.mean(np.square(channel, dtype=float)) for channel in (left, right)]
    assert sum(powers) == pytest.approx(2 * LEVEL**2, rel=1e-4)
    share = np.sin((pan + 1) * np.pi / 4) ** 2
    assert powers[1] / sum(powers) == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("start_s", [0.0001, 1.5, 3.75])
async def test_sound_starts_at_the_sample(studio, toy, start_s):
    author = await _finished(studio, [KNOCK | {"start_s": start_s}])

    (request, shaped), _ = await _clips(author)

    start = round(start_s * RATE)
    assert not shaped[:, :start].any()
    assert np.abs(shaped[:, start:]).min() > LEVEL - 1e-6
    assert request["samples"] == shaped.shape[1] == SCENE + TAIL


async def test_sound_that_starts_after_its_scene_is_silence_and_not_flagged(studio, toy):
    author = await _finished(studio, [KNOCK | {"start_s": 4.2}])

    (_, shaped), _ = await _clips(author)

    assert shaped.shape == (2, SCENE + TAIL)
    assert not shaped.any()
    assert (await author.scenes())[0].flags == []
    assert any("is not heard" in note for note in await _notes(author))


async def test_fades_have_their_shape_begin_at_the_start_and_end_with_the_scene(studio, toy):
    author = await _finished(studio, [RAIN | {"start_s": 1, "fade_in_s": 0.5, "fade_out_s": 1}])

    (_, shaped), _ = await _clips(author)

    envelope = np.abs(shaped[0]) / LEVEL
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(RATE // 2) + 0.5) / (RATE // 2))
    fall = 0.5 + 0.5 * np.cos(np.pi * (np.arange(RATE) + 0.5) / RATE)
    assert not envelope[:RATE].any()
    np.testing.assert_allclose(envelope[RATE : RATE + RATE // 2], rise, atol=2e-6)
    np.testing.assert_allclose(envelope[RATE + RATE // 2 : SCENE - RATE], 1.0, atol=2e-6)
    np.testing.assert_allclose(envelope[SCENE - RATE : SCENE], fall, atol=2e-6)
    assert not envelope[SCENE:].any()


async def test_sound_that_spans_scenes_fades_where_it_begins_and_where_it_ends(studio, toy):
    rain = RAIN | {"scenes": 2, "gain_db": -6, "fade_in_s": 1, "fade_out_s": 1}
    author = await _finished(studio, [rain], [])

    first, second, _ = (made[1] for made in await _clips(author))

    level = LEVEL * 10 ** (-6 / 20)
    assert np.abs(first[0, 0]) < level / 100
    assert np.abs(first[0, RATE:]).min() == pytest.approx(level, rel=1e-5)
    assert np.abs(second[0, : SCENE - RATE]).min() == pytest.approx(level, rel=1e-5)
    assert not second[:, SCENE:].any()


@pytest.mark.parametrize(
    ("shape", "start_s"),
    [
        ({"pause_before_s": 1.25}, 1.25),
        ({"start_s": 2.0}, 2.0),
        ({"start_s": 2.0, "pause_before_s": 1.0}, 2.0),  # of which the pause counts for nothing
        (
            {"start_s": 3.9},
            short_seconds(SCENE / RATE - spoken_s(LINE["words"])),
        ),  # there is time for it
    ],
)
async def test_line_alone_begins_after_its_pause_or_at_its_start(studio, toy, shape, start_s):
    studio.engines["tone"] = ToneEngine(name="tone", fields={"shapes": ()})
    author = await _finished(studio, [LINE | shape], engine="tone", parameters={})

    (request, shaped), _ = await _clips(author)

    assert not shaped[:, : round(start_s * RATE)].any()
    assert shaped[:, round(start_s * RATE) : round(start_s * RATE) + 10].all()
    assert "pause_before_s" not in json.dumps(request)
    assert await _notes(author) == []


async def test_what_can_be_done_to_no_clip_is_a_note(studio, toy):
    author = await _finished(
        studio,
        [RAIN | {"gain_db": -6}, KNOCK | {"gain_db": -3, "count": 3, "pace": "slow"}],
        [KNOCK | {"distance": 0.5, "gain_db": -3}],
        [RAIN | {"fade_in_s": 1}, KNOCK | {"fade_in_s": 1}, KNOCK | {"start_s": 2}],
    )

    made = await _clips(author)

    assert [request.get("shape") for request, _ in made] == [None, {"gain_db": -3.0}, None, None]
    assert await _notes(author) == [
        "Scene 1: toy does not honor gain_db, and its clip holds others; not applied to “rain” "
        "(layer 1).",
        "Scene 1: toy does not honor gain_db, count and pace; not applied to “a knock” (layer 2).",
        "Scene 2: toy does not honor distance; not applied to “a knock” (layer 1).",
        "Scene 3: toy does not honor fade_in_s, and its clip holds others; not applied to “rain” "
        "(layer 1).",
        "Scene 3: toy does not honor fade_in_s, and its clip holds others; not applied to “a knock” "
        "(layer 2).",
        "Scene 3: toy does not honor start_s, and its clip holds others; not applied to “a knock” "
        "(layer 3).",
    ]


async def test_layers_of_one_gain_are_shaped_together(studio, toy):
    author = await _finished(studio, [RAIN | {"gain_db": -9}, KNOCK | {"gain_db": -9}])

    (request, shaped), _ = await _clips(author)

    assert request["shape"] == {"gain_db": -9.0}
    assert _db(np.abs(shaped).max() / LEVEL) == pytest.approx(-9, abs=0.01)
    assert await _notes(author) == []


async def test_layer_that_goes_on_from_an_earlier_scene_is_named_without_a_number(studio, toy):
    author = await _finished(studio, [RAIN | {"scenes": 2, "gain_db": -6}], [KNOCK])

    assert await _notes(author) == [
        "Scene 2: toy does not honor gain_db, and its clip holds others; not applied to “rain”."
    ]


async def test_note_goes_with_its_cause_and_comes_with_another(studio, toy):
    author = await _finished(studio, [KNOCK | {"count": 3, "gain_db": -6}])

    shape = {"op": "shape", "sub_event": 1, "layer": 1}
    await author.edit(shape | {"clear": ["count"], "gain_db": -3})
    cleared = await _notes(author)
    await author.choose(1, 1)
    chosen = await _notes(author)
    await author.edit(shape | {"clear": ["count"], "distance": 0.9})

    assert cleared == []
    assert chosen == ["Scene 1: toy does not honor count; not applied to “a knock” (layer 1)."]
    assert await _notes(author) == [
        "Scene 1: toy does not honor distance; not applied to “a knock” (layer 1)."
    ]


async def test_engine_of_a_scene_decides_what_is_noted(studio, toy):
    author = await _finished(studio, [KNOCK | {"count": 3}])
    assert len(await _notes(author)) == 1

    await author.edit({"op": "reword", "sub_event": 1, "engine": "tone"})

    assert await _notes(author) == []


async def test_layer_of_a_stem_that_its_engine_does_not_make_is_a_note(studio, toy):
    author = await _finished(studio, [LINE, KNOCK])

    assert await _notes(author) == [
        "Scene 1: toy does not make dialogue; “Who is there?” (layer 1) is not made as such."
    ]


async def test_stem_is_shaped_by_what_is_heard_in_it(studio, toy):
    engines = {"dialogue": "tone", "music": "tone", "effects": "toy"}
    author = await _finished(
        studio,
        [RAIN | {"gain_db": -6}, LINE],
        [RAIN],
        engine="tone",
        engines=engines,
        parameters={},
    )

    shaped, plain, _ = (made for made in await _clips(author, "effects"))

    assert shaped[0]["shape"] == {"gain_db": -6.0}
    ratio = np.sqrt(np.mean(shaped[1][:, :SCENE] ** 2) / np.mean(plain[1][:, :SCENE] ** 2))
    assert _db(ratio) == pytest.approx(-6, abs=0.01)
    assert await _notes(author) == []


async def test_other_take_has_the_shape_too_and_other_gain_is_another_clip(studio, toy):
    author = await _finished(studio, [RAIN | {"gain_db": -6}])
    await author.more_takes(1, 1)
    await author.edit({"op": "shape", "sub_event": 1, "layer": 1, "gain_db": -12})

    async with studio.store.database.read() as session:
        clips = list(await session.scalars(select(Clip)))
    levels = {
        clip.key: _db(np.abs(soundfile.read(studio.store.audio.path(clip.file))[0]).max() / LEVEL)
        for clip in clips
    }
    assert sorted(levels.values()) == pytest.approx([-12, -6, -6, 0], abs=0.01)


@pytest.mark.parametrize("name", ["foley", "audiostory"])
async def test_requests_to_engines_that_honor_or_read_a_shape_are_as_they_were(name, studio):
    card = read_card(TOY.parents[3] / "audiostory_core" / "engines" / name, "shipped")
    fields = {"shapes": card.shapes, "shapes_in_words": card.shapes_in_words}
    studio.engine.fields = fields
    rain = RAIN | {"gain_db": -6.0, "pan": 0.5, "distance": 0.2, "fade_in_s": 1.0, "pace": "slow"}
    line = LINE | {"pause_before_s": 1.0, "gain_db": -3.0}
    author = await _finished(studio, [rain], [line], engine="tone", parameters={})

    made = await _clips(author)

    assert [request.get("shape") for request, _ in made] == [None] * 3
    line_as_stored = {"manner": None, "speaker": None} | line
    assert [request["layers"] for request, _ in made[:2]] == [[rain], [line_as_stored]]
    assert len(await _notes(author)) == (0 if name == "foley" else 2)
