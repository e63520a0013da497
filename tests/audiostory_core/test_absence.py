"""What a text says is absent is not heard, and where and when it plays is no lost sound."""

import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.protocol import ClipRequest, ClipResult
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief
from audiostory_core.story.plan import SpeechLayer, StoryPlan
from audiostory_core.text.absence import find_denials

CASES = tomllib.loads((Path(__file__).parent.parent / "data/absence.toml").read_text("utf-8"))
SAMPLES = 4410  # what is made is known from the shortest clip


@pytest.fixture(scope="module")
def foley() -> Iterator[Foley]:
    engine = Foley()
    yield engine
    engine.close()


def _cases(*kinds: str) -> list:
    return [pytest.param(case, id=case["text"]) for kind in kinds for case in CASES[kind]]


def _plan(case: dict) -> StoryPlan:
    return Clauses().plan(Brief(case["text"], language=case.get("language")))


def _clips(plan: StoryPlan, foley: Foley) -> list[ClipResult]:
    conditions: dict = {}
    for made in foley.interleave(plan, range(len(plan.sub_events)), {}):
        conditions |= made
    return foley.synthesize(
        [
            ClipRequest(
                caption=event.caption,
                layers=event.layers,
                samples=SAMPLES,
                seed=1,
                language=plan.language,
                condition=conditions[place],
                version=plan.version,
            )
            for place, event in enumerate(plan.sub_events)
        ]
    )


def _kinds(clip: ClipResult) -> set[str]:
    return {match.partition(":")[0] for match in clip.matched}


@pytest.mark.parametrize("case", _cases("direction", "denied", "over"))
def test_what_is_denied_is_not_heard_and_the_rest_is(case, foley):
    plan = _plan(case)
    clips = _clips(plan, foley)

    heard = {kind for clip in clips for kind in _kinds(clip)}
    assert not heard & {*case.get("absent", ())}
    assert heard >= {*case.get("heard", ())}
    assert not _kinds(clips[-1]) & {*case.get("last", ())}
    assert [text for clip in clips for text in clip.unmatched] == []
    assert len(plan.directions) == case.get("directions", 0)
    assert any(note.startswith("left out: ") for note in plan.notes)


@pytest.mark.parametrize("case", _cases("innocent"))
def test_words_that_only_look_like_a_denial_deny_nothing(case, foley):
    plan = _plan(case)

    assert {kind for clip in _clips(plan, foley) for kind in _kinds(clip)} >= {*case["heard"]}
    assert not any(note.startswith("left out") for note in plan.notes)


@pytest.mark.parametrize("case", _cases("scenery"))
def test_times_places_and_moods_are_no_sounds_that_were_lost(case, foley):
    clips = _clips(_plan(case), foley)

    assert [text for clip in clips for text in clip.unmatched] == []
    assert {kind for clip in clips for kind in _kinds(clip)} >= {*case.get("heard", ())}


@pytest.mark.parametrize("case", _cases("unknown"))
def test_a_sound_that_is_not_known_is_lost_beside_scenery_and_absence(case, foley):
    assert any("portal" in text for clip in _clips(_plan(case), foley) for text in clip.unmatched)


def test_denials_in_spoken_lines_are_spoken():
    plan = _plan({"text": "ANNA: No birds today. It does not rain.\nBEN: Nobody claps."})

    lines = [layer.words for event in plan.sub_events for layer in event.layers]
    assert lines == ["No birds today. It does not rain.", "Nobody claps."]
    assert all(isinstance(x, SpeechLayer) for event in plan.sub_events for x in event.layers)
    assert not any(note.startswith("left out") for note in plan.notes)


def test_a_sound_that_is_named_again_is_heard_again(foley):
    plan = _plan({"text": "Rain falls. The rain has stopped. A bell rings. Then rain falls again."})

    heard = ["rain" in _kinds(clip) for clip in _clips(plan, foley)]
    assert heard[0]
    assert heard[-1]
    assert not any(heard[1:-1])


@pytest.mark.parametrize("unit", ["no ", "without birds, ", "nor a dog or ", "not only rain. "])
def test_reading_absence_takes_time_in_proportion_to_the_text(unit):
    def spent_s(text: str) -> float:
        begun = time.process_time()
        find_denials(text, "en")
        return time.process_time() - begun

    spent_s(unit)
    short, long = unit * (20_000 // len(unit)), unit * (200_000 // len(unit))
    assert spent_s(long) < 40 * max(spent_s(short), 0.02)
