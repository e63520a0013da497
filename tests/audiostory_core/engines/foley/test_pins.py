"""A changed sound has another number: what is heard is compared with tests/data/sounds.json."""

import dataclasses

import numpy as np
import pytest

from audiostory_core.engines.foley.engine import SOUND
from tests.support.sound_pins import (
    TOLERANCE,
    Pins,
    Sketch,
    digest_tables,
    draw_kinds,
    draw_scenes,
    explain,
)
from tests.support.sounds import FAMILIES, kinds, render


@pytest.fixture(scope="module")
def pins():
    return Pins.read()


def test_number_of_the_sound_is_the_pinned_one(pins):
    assert pins.sound == SOUND, "Pin the new sound: python -m tests.support.sound_pins"


@pytest.mark.parametrize("family", FAMILIES)
def test_kinds_sound_as_they_are_pinned(pins, family):
    changes = pins.changes(draw_kinds(family))

    assert changes == {}, explain(changes, pins)


def test_scenes_sound_as_they_are_pinned(pins):
    changes = pins.changes(draw_scenes())

    assert changes == {}, explain(changes, pins)


def test_words_voices_manners_and_levels_are_the_pinned_ones(pins):
    assert digest_tables() == pins.tables, explain({"tables": float("inf")}, pins)


def test_every_kind_is_pinned_and_nothing_else(pins):
    pinned = {name for name in pins.sketches if not name.startswith(("en ", "ja "))}

    assert pinned == {f"{name}{late}" for name in kinds() for late in ("", ", shaped")}


@pytest.mark.parametrize("name", ["rain", "knock", "siren", "piano"])
def test_sketch_sees_another_draw_level_sample_or_channel_but_no_rounding(name):
    waveform = render(name, 1.0)
    sketch, size = Sketch.of(waveform), waveform.shape[-1]
    others = {
        "draw": render(name, 1.0, seed=2),
        "level": waveform * 1.001,
        "sample": np.roll(waveform, 1, axis=-1),
        "end": waveform[..., : size - 1],
        "ears": waveform[::-1] if waveform.ndim == 2 else -waveform,
    }

    seen = {name: sketch.distance(Sketch.of(other)) for name, other in others.items()}
    assert {name: far for name, far in seen.items() if far <= TOLERANCE} == {}
    assert sketch.distance(Sketch.of(waveform.astype(np.float32))) < TOLERANCE / 10


def test_changed_sound_is_explained(pins):
    name = "rain"
    other = Sketch.of(render(name, 2.0, seed=9))
    old = dataclasses.replace(pins, sketches={**pins.sketches, name: other})

    changes = old.changes({name: pins.sketches[name]})
    assert list(changes) == [name]
    assert "raise SOUND in audiostory_core/engines/foley/engine.py" in explain(changes, old)
