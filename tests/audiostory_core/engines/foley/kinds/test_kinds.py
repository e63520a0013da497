"""What every kind of sound promises, whatever it sounds like."""

from collections.abc import Iterator

import numpy as np
import pytest

from audiostory_core.engines.foley.sound import Kind, Role, Samples
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.sound_features import envelope_of, features, leave_one_out
from tests.support.sounds import FAMILIES, kinds, kinds_of, mono, render

WHOLE_S = 2.5
LONGEST_S = 12.0  # a slot that every one-shot rings out in
SLOTS_S = (0.02, 0.5)
SEEDS = range(6)
LEANING = {"hail"}  # its stones all push the same way
GROUPS = {  # families told from each other, and the least share of sounds taken for their kind
    "people": (("body", "step", "object", "crowd"), 0.95),
    "nature": (("weather", "water", "fire", "animal"), 0.9),
    "machines": (("vehicle", "signal", "machine", "tool"), 0.9),
    "music": (("music",), 0.9),
}


def slot_breaches(kind: Kind, waveform: Samples, duration_s: float) -> Iterator[str]:
    """Yield what is wrong with the length or the numbers of a rendering."""
    samples = round(duration_s * SAMPLE_RATE)
    if waveform.dtype != np.float64:
        yield f"{waveform.dtype} in {duration_s} s"
    if not np.isfinite(waveform).all():
        yield f"not finite in {duration_s} s"
    if waveform.ndim != 1 and waveform.shape[0] != 2:
        yield f"{waveform.shape} in {duration_s} s"
    is_whole = waveform.shape[-1] == samples
    if not (0 < waveform.shape[-1] <= samples if kind.role is Role.ONESHOT else is_whole):
        yield f"{waveform.shape[-1]} of {samples} samples"


def sound_breaches(kind: Kind, waveform: Samples) -> Iterator[str]:
    """Yield what is wrong with how a rendering of some length sounds."""
    if np.std(waveform) <= 1e-4 or np.abs(waveform).max() <= 1e-3:
        yield "not heard"
    centered = 0.02 if kind.role is Role.MUSIC else 0.1
    is_leaning = kind.name in LEANING
    if not is_leaning and abs(mono(waveform).mean()) >= centered * np.std(mono(waveform)):
        yield "direct current"
    if kind.role is Role.ONESHOT and kind.family in GROUPS["nature"][0]:
        envelope = envelope_of(waveform)
        floor = envelope.max() / 1000
        if envelope[:4].max() <= floor or envelope[-4:].max() <= floor / 4:
            yield "silence at an end"
    if kind.role is Role.MUSIC and (waveform.ndim != 1 or kind.family != "music"):
        yield "music in stereo, or of another family"


def breaches(kind: Kind) -> Iterator[str]:
    """Yield what a kind breaks of the contract of `Kind.render`."""
    whole_s = LONGEST_S if kind.role is Role.ONESHOT else WHOLE_S
    whole = render(kind.name, whole_s)
    yield from slot_breaches(kind, whole, whole_s)
    yield from sound_breaches(kind, whole)
    if not np.array_equal(whole, render(kind.name, whole_s)):
        yield "not the same twice"
    other = render(kind.name, WHOLE_S, seed=2)
    shared = min(whole.shape[-1], other.shape[-1])
    if np.allclose(whole[..., :shared], other[..., :shared]):
        yield "the same for another seed"
    for slot_s in SLOTS_S:
        yield from slot_breaches(kind, render(kind.name, slot_s), slot_s)
    is_sparse = kind.family in GROUPS["nature"][0]
    if not is_sparse and np.std(render(kind.name, SLOTS_S[-1])) <= 1e-4:
        yield "not heard in a short slot"


def test_families_are_the_catalog():
    assert {kind.family for kind in kinds().values()} == set(FAMILIES)
    assert {family for families, _ in GROUPS.values() for family in families} == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_kind_keeps_the_contract(family):
    broken = {kind.name: list(breaches(kind)) for kind in kinds_of(family)}

    assert {name: listed for name, listed in broken.items() if listed} == {}


@pytest.mark.parametrize("group", GROUPS)
def test_every_kind_in_any_shape_is_told_from_every_other_by_simple_features(group):
    families, least = GROUPS[group]
    rows, labels, broken = [], [], []
    for kind in (kind for family in families for kind in kinds_of(family)):
        slot_s = {Role.ONESHOT: 8.0, Role.BED: 4.0}.get(kind.role, 2.0)
        for seed in SEEDS:
            waveform = render(kind.name, slot_s, **shaped(kind, seed))
            broken += [(kind.name, told) for told in slot_breaches(kind, waveform, slot_s)]
            rows.append(features(waveform[..., : 4 * SAMPLE_RATE]))
            labels.append(kind.name)

    assert broken == []
    assert leave_one_out(np.array(rows), labels) >= least


def shaped(kind: Kind, seed: int) -> dict[str, object]:
    """Return arguments of `render` that differ with the seed."""
    rng = np.random.default_rng([seed, len(kind.name)])
    return {
        "seed": seed,
        "start": int(rng.integers(10**6)) if kind.role is Role.BED else 0,
        "score": {"tonic": 55 + seed, "minor": bool(seed % 2), "tempo_bpm": 76.0 + 3 * seed},
        "intensity": rng.uniform(-0.6, 0.6),
        "pace": 2 ** rng.uniform(-0.32, 0.32),
        "size": rng.uniform(-0.5, 0.5),
        "motion": (None, None, "receding", "approaching")[seed % 4],
    }
