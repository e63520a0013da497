"""Revising a story over HTTP."""

import io
from collections.abc import Sequence
from dataclasses import replace

import httpx
import numpy as np
import pyloudnorm
import pytest
import soundfile

from api.app import create_app
from api.revisions.wording import Question, Unanswered, WordingProcess
from audiostory_core.engines.protocol import UNWATCHED, ClipRequest, ClipResult, ProgressListener
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.story.changes import Edits
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import StoryPlan
from storage.models import RunState
from tests.support.author import Author, tone_in_catalog
from tests.support.fakes import ToneEngine
from tests.support.servers import assert_problem
from tests.support.studio import Studio


class UnevenEngine(ToneEngine):
    """Makes some clips up to 20 dB louder than others."""

    def synthesize(
        self, requests: Sequence[ClipRequest], watch: ProgressListener = UNWATCHED
    ) -> list[ClipResult]:
        made = super().synthesize(requests, watch)
        return [
            replace(one, waveform=one.waveform * 10 ** ((request.seed % 21 - 18) / 20))
            for request, one in zip(requests, made, strict=True)
        ]


PLAN = {
    "instruction": "Four sounds",
    "language": "en",
    "duration_s": 8.0,
    "sub_events": [
        {"caption": caption, "duration_s": 2.0} for caption in ("rain", "thunder", "birds", "sea")
    ],
}


@pytest.fixture(autouse=True)
def _tone():
    with tone_in_catalog():
        yield


@pytest.fixture
async def story(studio: Studio, client) -> "Told":
    """A finished story."""
    told = Told(client, studio, await _post(client))
    await studio.run(told.id)
    return told


@pytest.fixture
async def planned(studio: Studio, client) -> "Told":
    """A story whose plan waits for its author."""
    told = Told(client, studio, await _post(client, review=True))
    await studio.run(told.id)
    return told


async def _post(client, **values) -> str:
    asked = {"plan": PLAN, "engine": "tone", "planner": "lines", "seed": 3} | values
    posted = await client.post("/v1/stories", json=asked)
    assert posted.status_code == 202, posted.text
    return posted.json()["id"]


class Told:
    """A story as a client sees it, and the worker that works on it when told to."""

    def __init__(self, client, studio: Studio, story_id: str) -> None:
        self.client, self.studio, self.id = client, studio, story_id
        self.path = f"/v1/stories/{story_id}"
        self.author = Author(studio, story_id)

    async def get(self, path: str = "", **options):
        response = await self.client.get(f"{self.path}{path}", **options)
        assert response.status_code == 200, response.text
        return response

    async def json(self, path: str = ""):
        return (await self.get(path)).json()

    async def post(self, path: str, json=None):
        return await self.client.post(f"{self.path}{path}", json=json)

    async def change(self, *edits: dict, **wish) -> None:
        """Ask for edits and have them made."""
        response = await self.ask({"kind": "edits", "edits": list(edits)}, **wish)
        assert response.status_code == 202, response.text
        await self.author.wait()

    async def ask(self, change: dict, **wish):
        return await self.post("/changes", {"change": change, **wish})

    async def captions(self) -> list[str]:
        return [scene["caption"] for scene in await self.json("/sub-events")]


def _reword(sub_event: int, caption: str, **told) -> dict:
    return {"op": "reword", "sub_event": sub_event, "caption": caption, "seed": 123} | told


async def test_change_is_taken_at_once_and_made_by_the_workers(story):
    etag = (await story.client.head(f"{story.path}/mix")).headers["etag"]

    response = await story.ask({"kind": "edits", "edits": [_reword(2, "an owl")]})

    assert response.status_code == 202
    assert (response.json()["status"], response.json()["revision"]) == ("queued", 1)
    assert (await story.client.head(f"{story.path}/mix")).headers["etag"] == etag
    await story.author.wait()
    told = await story.json()
    assert (told["status"], told["waits_for"]) == ("in review", "mix review")
    assert (told["revision"], told["is_accepted"]) == (2, False)
    assert (await story.client.head(f"{story.path}/mix")).headers["etag"] != etag
    assert story.author.made() == ["an owl"]
    assert await story.captions() == ["rain", "an owl", "birds", "sea"]


async def test_bytes_of_the_mix_outside_the_scene_and_its_seams_stay_until_it_is_accepted(story):
    before = (await story.get("/mix.wav")).content
    await story.change(_reword(2, "an owl"))

    after = (await story.get("/mix.wav")).content

    header = len(before) - 8 * 44_100 * 6
    first, last = header + 2 * 44_100 * 6, header + 5 * 44_100 * 6
    assert len(after) == len(before)
    assert after[header:first] == before[header:first]
    assert after[last:] == before[last:]
    assert after[first:last] != before[first:last]


async def test_approval_accepts_the_mix_and_only_what_waits_is_approved(story):
    await story.change(_reword(2, "an owl"))

    approved = await story.post("/approve")
    await story.author.wait()

    assert approved.status_code == 200
    told = await story.json()
    assert (told["status"], told["is_accepted"]) == ("finished", True)
    assert told["mastering"]["of_revision"] == 2
    assert_problem(await story.post("/approve"), 409)


async def test_change_that_accepts_itself_finishes(story):
    await story.change(_reword(2, "an owl"), accept=True)

    assert (await story.json())["status"] == "finished"


async def test_preview_says_what_would_be_made_again_and_changes_nothing(story):
    edits = [{"op": "delete", "sub_event": 4}, {"op": "insert", "at": 2, **INSERTED}]

    response = await story.post("/preview", {"edits": edits})

    assert response.status_code == 200
    told = response.json()
    assert told["summary"] == "2 made again, 2 kept, 1 deleted"
    assert (told["made_again"], told["duration_s"]) == (2, 7.0)
    fates = [(line["number"], line["was"], line["fate"], line["reason"]) for line in told["scenes"]]
    assert fates == [
        (1, 1, "kept", None),
        (2, None, "made again", "new"),
        (3, 2, "kept", None),
        (4, 3, "made again", "becomes the last"),
        (None, 4, "deleted", "deleted"),
    ]
    assert (await story.json())["revision"] == 1
    assert (await story.studio.latest_run(story.id)).state == RunState.FINISHED


INSERTED = {"caption": "an owl", "duration_s": 1.0}


async def test_change_against_another_revision_than_the_current_one_is_a_conflict(story):
    await story.change(_reword(2, "an owl"), base=1, accept=True)

    stale = await story.ask({"kind": "edits", "edits": [_reword(3, "a dog")]}, base=1)
    remark = await story.post("/reject", {"remark": "shorter", "base": 1})

    for response in (stale, remark):
        assert "revision 2, not 1" in assert_problem(response, 409)["detail"]
    assert (await story.json())["revision"] == 2


BAD = [
    ([{"op": "delete", "sub_event": 1}, {"op": "delete", "sub_event": 9}], "edits.2.sub_event"),
    ([_reword(9, "an owl")], "edits.1.sub_event"),
    ([_reword(1, "an owl", change="louder")], "edits.1.change"),
    ([{"op": "reword", "sub_event": 1, "duration_s": 100.0}], "edits.1.duration_s"),
    ([{"op": "reword", "sub_event": 1, "engine": "organ"}], "edits.1.engine"),
    ([{"op": "reword", "sub_event": 1, "engine": "audiostory"}], "edits.1.engine"),  # no weights
    ([{"op": "move", "sub_event": 1, "to": 9}], "edits.1.to"),
    ([{"op": "merge", "sub_event": 4}], "edits.1.sub_event"),
    ([{"op": "split", "sub_event": 1, "at_s": 1.9}], "edits.1.at_s"),
    ([{"op": "insert", "at": 9, **INSERTED}], "edits.1.at"),
]


@pytest.mark.parametrize(("edits", "field"), BAD)
@pytest.mark.parametrize("path", ["/changes", "/preview"])
async def test_edit_that_cannot_be_made_is_named_by_its_field(story, edits, field, path):
    body = {"edits": edits} if path == "/preview" else {"change": {"kind": "edits", "edits": edits}}

    assert_problem(await story.post(path, body), 422, field)

    assert (await story.json())["status"] == "finished"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"change": {}},
        {"change": {"kind": "edits", "edits": []}},
        {"change": {"kind": "edits", "edits": [{"op": "shout", "sub_event": 1}]}},
        {"change": {"kind": "edits", "edits": [{"op": "delete", "sub_event": 0}]}},
        {"change": {"kind": "edits", "edits": [_reword(1, " ")]}},
        {"change": {"kind": "edits", "edits": [_reword(1, "a\x00b")]}},
        {"change": {"kind": "takes", "sub_event": 1, "count": 17}},
        {"change": {"kind": "takes", "sub_event": 5}},
        {"change": {"kind": "choose", "sub_event": 1}},
        {"change": {"kind": "remark", "remark": ""}},
        {"change": {"kind": "takes", "sub_event": 1}, "unknown": 1},
    ],
)
async def test_change_that_is_none_is_refused(story, body):
    assert_problem(await story.post("/changes", body), 422)


async def test_takes_are_listed_made_and_chosen(story):
    asked = await story.ask({"kind": "takes", "sub_event": 2, "count": 3})
    assert asked.status_code == 202
    await story.author.wait()

    takes = await story.json("/sub-events/2/takes")
    assert [take["take"] for take in takes] == [1, 2, 3, 4]
    assert [take["is_heard"] for take in takes] == [True, False, False, False]
    assert len({take["recipe"]["seed"] for take in takes}) == 4
    assert (await story.json())["status"] == "finished"

    chosen = await story.ask({"kind": "choose", "sub_event": 2, "take": 3})
    assert chosen.status_code == 202
    await story.author.wait()
    assert story.author.made() == []
    takes = await story.json("/sub-events/2/takes")
    assert [take["is_heard"] for take in takes] == [False, False, True, False]


async def test_take_that_is_not_there_is_not_found(story):
    assert_problem(await story.ask({"kind": "choose", "sub_event": 2, "take": 9}), 404)
    assert_problem(await story.ask({"kind": "choose", "sub_event": 2, "take": 2**70}), 422)
    assert_problem(await story.ask({"kind": "choose", "sub_event": True, "take": 1}), 422)
    assert_problem(await story.ask({"kind": "choose", "sub_event": 1, "take": True}), 422)
    assert_problem(await story.ask({"kind": "takes", "sub_event": 1, "count": True}), 422)
    assert_problem(await story.client.get(f"{story.path}/sub-events/2/takes/9"), 404)
    assert_problem(await story.client.get(f"{story.path}/sub-events/9/takes"), 404)


async def test_takes_are_compared_at_matched_loudness(story):
    story.studio.engine = UnevenEngine()
    await story.ask({"kind": "takes", "sub_event": 2, "count": 4})
    await story.author.wait()
    takes = await story.json("/sub-events/2/takes")
    assert len(takes) == 5
    raw, matched = [], []
    for take in takes:
        path = f"/sub-events/2/takes/{take['take']}"
        raw.append(_read(await story.get(path, params={"matched": False})))
        matched.append(_read(await story.get(path)))

    meter = pyloudnorm.Meter(44_100)
    loudness = [meter.integrated_loudness(samples) for samples in matched]
    before = [meter.integrated_loudness(samples) for samples in raw]
    assert max(before) - min(before) > 3
    assert max(loudness) - min(loudness) < 0.5
    for samples in matched:
        assert 20 * np.log10(_true_peak(samples)) <= -1.0 + 0.05


def _read(response) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(response.content), always_2d=True)
    assert (rate, response.headers["content-type"]) == (44_100, "audio/wav")
    return samples


def _true_peak(samples: np.ndarray) -> float:
    """Measure as ITU-R BS.1770 does, oversampled four times by another filter than the studio's."""
    from scipy.signal import resample_poly  # noqa: PLC0415 - nowhere else in the edge's tests

    return float(np.abs(resample_poly(samples, 4, 1, axis=0)).max())


async def test_undo_redo_and_history(story):
    await story.change(_reword(2, "an owl"), accept=True)
    assert_problem(await story.post("/redo"), 409)

    undone = await story.post("/undo")
    assert (undone.status_code, undone.json()["revision"]) == (200, 1)
    assert await story.captions() == ["rain", "thunder", "birds", "sea"]
    assert_problem(await story.post("/undo"), 409)
    redone = await story.post("/redo")
    assert (redone.status_code, redone.json()["revision"]) == (200, 2)

    listed = await story.json("/revisions")
    assert [(one["revision"], one["parent"], one["is_current"]) for one in listed] == [
        (2, 1, True),
        (1, None, False),
    ]
    assert listed[0]["summary"] == "scene 2: an owl"
    assert await story.json("/revisions?before=2&limit=1") == listed[1:]


async def test_revisions_are_named_and_gone_to(story):
    await story.change(_reword(2, "an owl"), accept=True)
    path = f"{story.path}/revisions"

    named = await story.client.put(f"{path}/1/name", json={"name": "the first"})
    gone = await story.client.post(f"{path}/the first/current")

    assert (named.status_code, gone.status_code) == (200, 200)
    assert gone.json()["revision"] == 1
    assert (await story.json())["revision_name"] == "the first"
    taken = await story.client.put(f"{path}/2/name", json={"name": "the first"})
    assert_problem(taken, 409)
    for name in ("", "12", "x" * 101):
        refused = await story.client.put(f"{path}/2/name", json={"name": name})
        assert_problem(refused, 422, "name")
    unnamed = await story.client.put(f"{path}/1/name", json={"name": None})
    assert unnamed.status_code == 200
    assert_problem(await story.client.post(f"{path}/the first/current"), 404)


@pytest.mark.parametrize("named", ["9", "nowhere", "-1", "٣", "99999999999999999999"])
async def test_revision_that_is_not_there_is_not_found(story, named):
    await _assert_refused(story, named, 404)


async def test_revision_whose_name_no_database_can_hold_is_bad_input(story):
    await _assert_refused(story, "%00", 422)


async def _assert_refused(story, named, status):
    paths = [f"/revisions/{named}/current", f"/revisions/{named}/branch"]

    for path in paths:
        assert_problem(await story.post(path), status)
    assert_problem(
        await story.client.put(f"{story.path}/revisions/{named}/name", json={"name": "x"}), status
    )
    assert_problem(await story.client.get(f"{story.path}/diff?before=1&after={named}"), status)


async def test_difference_of_two_revisions_is_text(story):
    await story.change(_reword(2, "an owl"), {"op": "delete", "sub_event": 4}, accept=True)

    response = await story.get("/diff", params={"before": 1, "after": 2})

    assert response.headers["content-type"].startswith("text/plain")
    assert "an owl" in response.text
    assert "thunder" in response.text
    same = await story.get("/diff", params={"before": 2, "after": 2})
    assert "an owl" not in same.text


async def test_branch_is_a_story_of_its_own_with_the_same_mix(story):
    before = (await story.get("/mix.wav")).content

    response = await story.post("/revisions/1/branch")
    assert response.status_code == 201
    other = Told(story.client, story.studio, response.json()["id"])
    assert (await other.get("/mix.wav")).content == before
    await other.author.wait()
    assert other.author.made() == []
    await other.change(_reword(1, "an owl"), accept=True)

    assert await other.captions() == ["an owl", "thunder", "birds", "sea"]
    assert (await story.get("/mix.wav")).content == before


async def test_rejected_plan_is_planned_again_and_waits(planned):
    path = f"{planned.path}/sub-events"
    assert (await planned.json())["waits_for"] == "plan review"

    response = await planned.post("/reject", {"remark": "shorter"})
    await planned.author.wait()

    assert response.status_code == 202
    assert (await planned.json())["waits_for"] == "plan review"
    assert planned.studio.planner.planned[-1].remarks == ("shorter",)
    assert len((await planned.client.get(path)).json()) == 1  # of a planner of one line a scene
    for remark in ("", "x" * 200_001):
        assert_problem(await planned.post("/reject", {"remark": remark}), 422, "remark")


async def test_cancelled_story_is_resumed(planned):
    await planned.post("/approve")

    cancelled = await planned.post("/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert_problem(await planned.post("/cancel"), 409)
    resumed = await planned.post("/resume")
    assert (resumed.status_code, resumed.json()["status"]) == (202, "queued")
    await planned.author.wait()

    assert (await planned.json())["waits_for"] == "mix review"
    assert len(planned.author.made()) == 4


async def test_story_that_is_not_planned_yet_cannot_be_revised(client, studio):
    told = Told(client, studio, await _post(client))

    for response in (
        await told.ask({"kind": "takes", "sub_event": 1}),
        await told.post("/preview", {"edits": [_reword(1, "an owl")]}),
        await told.post("/undo"),
        await told.post("/reject", {"remark": "shorter"}),
    ):
        assert_problem(response, 409)


@pytest.mark.parametrize(
    "path", ["/changes", "/preview", "/undo", "/cancel", "/resume", "/approve"]
)
async def test_story_that_is_not_there_cannot_be_revised(client, path):
    body = {"change": {"kind": "takes", "sub_event": 1}} if path == "/changes" else None
    body = {"edits": [_reword(1, "an owl")]} if path == "/preview" else body

    assert_problem(await client.post(f"/v1/stories/nowhere{path}", json=body), 404)


@pytest.fixture
async def worded(studio, state):
    """A finished story of the planner `clauses`, whose words a process of its own reads."""
    studio.planners = {"clauses": Clauses()}
    wording = WordingProcess()
    transport = httpx.ASGITransport(create_app(replace(state, words=wording.resolve)))
    async with (
        wording.running(),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        told = Told(client, studio, await _post(client, planner="clauses"))
        await studio.run(told.id)
        yield told


@pytest.mark.parametrize("path", ["changes", "preview"])
async def test_words_that_the_planner_does_not_understand_are_refused_at_once(worded, path):
    edits = [{"op": "reword", "sub_event": 2, "change": "qwrtz pfffx"}]
    body = {"kind": "edits", "edits": edits}
    before = len(await worded.studio.events(worded.id))

    answer = await worded.client.post(
        f"{worded.path}/{path}", json=body if path == "preview" else {"change": body}
    )

    problem = assert_problem(answer, 422, "change")
    assert problem["value"] == "qwrtz pfffx"
    assert len(await worded.studio.events(worded.id)) == before


@pytest.mark.parametrize(
    "remark", ["make it nicer", "swap scenes 1 and 9", "don't make the rain louder"]
)
async def test_remark_that_is_not_read_to_its_last_word_is_refused_at_once(worded, remark):
    before = len(await worded.studio.events(worded.id))

    answer = await worded.post("/reject", {"remark": remark})

    problem = assert_problem(answer, 422, "remark")
    assert problem["value"] == remark
    assert len(await worded.studio.events(worded.id)) == before


async def test_remark_changes_the_plan_and_nothing_changes_beside_it_while_it_is_pending(worded):
    asked = await worded.post("/reject", {"remark": "swap scenes 1 and 2", "base": 1})
    delete = {"kind": "edits", "edits": [{"op": "delete", "sub_event": 2}]}

    stale = await worded.client.post(f"{worded.path}/changes", json={"base": 1, "change": delete})
    await worded.studio.run(worded.id)

    assert asked.status_code == 202
    assert "pending" in assert_problem(stale, 409)["detail"]
    story = (await worded.client.get(worded.path)).json()
    assert (story["revision"], story["waits_for"]) == (2, "plan review")
    scenes = (await worded.client.get(f"{worded.path}/sub-events")).json()
    assert len(scenes) == 4
    assert scenes[1]["caption"] == "rain"


async def test_preview_of_words_shows_what_the_change_then_makes(worded):
    edits = [{"op": "reword", "sub_event": 2, "change": "2 seconds longer"}]

    outlook = await worded.client.post(f"{worded.path}/preview", json={"edits": edits})
    changed = await worded.client.post(
        f"{worded.path}/changes", json={"change": {"kind": "edits", "edits": edits}}
    )
    await worded.studio.run(worded.id)

    assert changed.status_code == 202
    assert outlook.json()["duration_s"] == pytest.approx(10.0)
    foreseen = [line["sub_event"]["duration_s"] for line in outlook.json()["scenes"]]
    made = (await worded.client.get(f"{worded.path}/sub-events")).json()
    assert foreseen == [scene["duration_s"] for scene in made]


async def test_words_that_nobody_reads_in_time_are_left_to_the_workers_who_tell_the_story(
    worded, state
):
    impatient = WordingProcess(patience_s=0.0)
    transport = httpx.ASGITransport(create_app(replace(state, words=impatient.resolve)))
    edits = [{"op": "reword", "sub_event": 2, "change": "qwrtz pfffx"}]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        body = {"change": {"kind": "edits", "edits": edits}}
        changed = await client.post(f"{worded.path}/changes", json=body)
    await worded.studio.run(worded.id)

    told = (await worded.client.get(worded.path)).json()
    assert changed.status_code == 202
    assert (told["status"], told["revision"], told["error"]) == ("finished", 1, None)
    assert "qwrtz pfffx" in told["refusal"]


async def test_process_that_reads_words_is_started_again_when_it_has_died():
    wording = WordingProcess()
    plan = StoryPlan.model_validate(PLAN)
    edits = Edits(edits=[{"op": "reword", "sub_event": 2, "change": "louder"}])
    question = Question(plan=plan, edits=edits, limits=SceneLimits(story_s=30.0))
    async with wording.running():
        first = await wording.resolve(question)
        wording._process.kill()
        await wording._process.wait()
        with pytest.raises(Unanswered):
            await wording.resolve(question)
        assert await wording.resolve(question) == first
    assert first[1].event != plan.sub_events[1]
