"""Stems over HTTP: of a mix, and of a scene."""

import io

import numpy as np
import pytest
import soundfile

from api.exports.service import open_mix
from audiostory_core.audio.mixdown import Mixdown
from audiostory_core.audio.pcm import SampleFormat, wav_length
from tests.support.servers import assert_problem

ENGINES = {"dialogue": "tone", "music": "tone", "effects": "tone"}
RAIN = {"kind": "ambience", "text": "rain"}
PLAN = {
    "version": 2,
    "instruction": "a",
    "language": "en",
    "duration_s": 4.0,
    "sub_events": [
        {
            "caption": "a line",
            "duration_s": 2.0,
            "layers": [RAIN, {"kind": "speech", "words": "Who is there?"}],
            "stem_gain_db": {"effects": 12},
        },
        {"caption": "rain", "duration_s": 2.0, "layers": [RAIN]},
    ],
}


@pytest.fixture
async def story(studio) -> str:
    made = await studio.add("a", given_plan=PLAN, engines=ENGINES)
    await studio.run(made.id)
    return made.id


async def _whole(studio, story_id: str) -> np.ndarray:
    async with studio.store.database.read() as session:
        mix = await open_mix(session, studio.store.audio, story_id)
    with Mixdown(mix.source) as read:
        return read.read(0, read.samples).T


async def test_stems_are_wav_of_floats_and_add_up_to_the_mix_before_its_gain(client, studio, story):
    path = f"/v1/stories/{story}/mix.wav"

    answers = {stem: await client.get(path, params={"stem": stem}) for stem in ENGINES}

    assert {stem: answer.status_code for stem, answer in answers.items()} == {
        "dialogue": 200,
        "music": 404,
        "effects": 200,
    }
    stems = []
    for stem in ("dialogue", "effects"):
        content = answers[stem].content
        assert len(content) == wav_length(4 * 44_100, SampleFormat.FLOAT_32)
        assert f'{story}-{stem}.wav"' in answers[stem].headers["content-disposition"]
        assert soundfile.info(io.BytesIO(content)).subtype == "FLOAT"
        stems.append(soundfile.read(io.BytesIO(content), dtype="float32")[0])
    assert np.abs(sum(stems) - await _whole(studio, story)).max() < 1e-6
    part = await client.get(path, params={"stem": "effects"}, headers={"Range": "bytes=50-999"})
    assert (part.status_code, part.content) == (206, answers["effects"].content[50:1000])
    assert len({answer.headers.get("etag") for answer in answers.values()}) == 3


async def test_stem_as_flac_is_refused(client, story):
    response = await client.get(f"/v1/stories/{story}/mix.flac", params={"stem": "dialogue"})

    assert_problem(response, 422)
    assert "mix.wav" in response.text


async def test_stem_of_a_composite_mix_is_not_there(client, studio):
    made = await studio.add("rain\nthunder", duration_s=4.0)
    await studio.run(made.id)

    response = await client.get(f"/v1/stories/{made.id}/mix.wav", params={"stem": "dialogue"})

    assert_problem(response, 404)
    assert "`engines`" in response.json()["remedy"]


async def test_clip_of_a_scene_of_several_stems_is_named(client, story):
    path = f"/v1/stories/{story}/clips/1.wav"

    unnamed = await client.get(path)
    line = await client.get(path, params={"stem": "dialogue"})
    sound = await client.get(path, params={"stem": "effects"})

    assert_problem(unnamed, 422)
    assert "dialogue, effects" in unnamed.text
    assert (line.status_code, sound.status_code) == (200, 200)
    assert len(sound.content) - len(line.content) == 44_100 * 6  # the tail
    assert (await client.get(f"/v1/stories/{story}/clips/2.wav")).status_code == 200


async def test_unknown_stem_is_refused(client, story):
    assert_problem(await client.get(f"/v1/stories/{story}/mix?stem=drums"), 422)
