"""Finished stories put into a store row by row: real audio and a real mix, no worker needed."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from api.store import OpenStore
from audiostory_core.audio.crossfade import crossfade
from audiostory_core.audio.loudness import SegmentLoudness, measure_segment
from audiostory_core.audio.mastering import choose_master_gain
from audiostory_core.audio.mixdown import MasterGain, Mixdown, MixSegment
from audiostory_core.audio.pcm import Waveform, au_bytes, flac_bytes
from audiostory_core.audio.seams import SeamFigures
from audiostory_core.quality.measures import measure
from storage import models as rows
from storage import stories

SAMPLES, TAIL = 44_100, 4_410  # of every scene; every clip but the last has a tail
STORY = {
    "instruction": "A storm comes.",
    "duration_s": None,
    "language": None,
    "seed": 7,
    "engine": "tone",
    "planner": "lines",
    "tail_s": 0.1,
    "review": False,
}
SEAM = SeamFigures(0.1, 0.0, -20.0, -20.0, -20.0, 0.0, 0.0, 0.0, 0.0)
PLAN = {"reasoning": "", "cast": [], "directions": [], "notes": []}


@dataclass(frozen=True)
class Shelved:
    """A story on the shelf, and what it is made of."""

    id: str
    revision_id: int
    scene_ids: list[int]
    sub_event_ids: list[int]
    clip_keys: list[str]


async def shelve(store: OpenStore, *captions: str) -> Shelved:
    """Store a finished story of one scene per caption."""
    async with store.database.write() as session:
        story = await stories.add_without_run(session, **STORY)
        scenes, clips = [], []
        for at, caption in enumerate(captions):
            tail = TAIL if at < len(captions) - 1 else 0
            clip = await _add_clip(session, store, caption, tail)
            scenes.append(await _add_scene(session, story.id, caption, clip))
            clips.append(clip)
        revision = rows.Revision(
            story_id=story.id,
            number=1,
            summary="planned",
            language="en",
            samples=SAMPLES * len(captions),
            plan=PLAN,
            scenes=[scene.id for scene in scenes],
        )
        session.add(revision)
        await session.flush()
        session.add(await _mix(session, store, revision, [clip.file for clip in clips]))
        session.add(_finished_run(story.id, revision.id))
        story.revision_id = revision.id
        story.next_revision, story.next_ordinal = 2, len(captions)
    return Shelved(
        story.id,
        revision.id,
        [scene.id for scene in scenes],
        [scene.sub_event_id for scene in scenes],
        [clip.key for clip in clips],
    )


async def branch(store: OpenStore, origin: Shelved) -> str:
    """Store a story that begins as another one's revision and shares its scenes; return its id."""
    async with store.database.write() as session:
        story = await stories.add_without_run(session, **STORY, branched_from=origin.revision_id)
        old = await session.get_one(rows.Revision, origin.revision_id)
        mix = await session.get_one(rows.Mix, origin.revision_id)
        revision = rows.Revision(
            story_id=story.id,
            number=1,
            summary="branched",
            parent_id=old.id,
            **{name: getattr(old, name) for name in ("language", "samples", "plan", "scenes")},
        )
        session.add(revision)
        await session.flush()
        values = {
            name: getattr(mix, name) for name in ("segments", "samples", "mastering", "is_accepted")
        }
        session.add(rows.Mix(revision_id=revision.id, **values))
        session.add(_finished_run(story.id, revision.id))
        story.revision_id, story.next_revision = revision.id, 2
    return story.id


async def hear(store: OpenStore, story_id: str) -> bytes:
    """Return the samples of a story's mix with its mastering."""
    async with store.database.read() as session:
        story = await stories.get(session, story_id)
        mix = await session.get_one(rows.Mix, story.revision_id)
        found = [await session.get_one(rows.SegmentRow, at) for at in mix.segments]
    segments = [MixSegment(store.audio.path(row.file), row.offset, row.samples) for row in found]
    mastering = MasterGain(mix.mastering["gain_db"], mix.mastering["limiting"])
    with Mixdown(segments, mastering) as whole:
        return whole.read(0, whole.samples).tobytes()


def sound(caption: str, tail: int = TAIL) -> Waveform:
    """Return noise that a caption alone decides, [2, samples and tail]."""
    seed = int.from_bytes(hashlib.sha256(caption.encode()).digest()[:8])
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((2, SAMPLES + tail))).astype(np.float32)


async def _add_clip(session, store, caption, tail):
    data = f"before {caption}".encode()
    condition_id = hashlib.sha256(data).hexdigest()
    request = json.dumps(
        {
            "engine": "tone",
            "caption": caption,
            "condition": condition_id,
            "samples": SAMPLES + tail,
            "seed": 1,
            "parameters": {"tail_samples": tail},
        },
        sort_keys=True,
        separators=(",", ":"),
    )
    key = hashlib.sha256(request.encode()).hexdigest()
    clip = await session.get(rows.Clip, key)
    if clip is None:
        if await session.get(rows.Condition, condition_id) is None:
            session.add(rows.Condition(id=condition_id, data=data))
        clip = rows.Clip(
            key=key,
            engine="tone",
            request=request,
            finished_at=1.0,
            file=store.audio.add(".flac", flac_bytes(sound(caption, tail))),
            measures=measure(sound(caption, tail), SAMPLES + tail).as_dict(),
            engine_report={"matched": [], "unmatched": [], "warnings": [], "is_silence": False},
        )
        session.add(clip)
        session.add(
            rows.Work(
                key=key,
                kind=rows.WorkKind.CLIP,
                needs="tone",
                state=rows.WorkState.FINISHED,
                attempt=1,
                priority=0,
                start_tag=1,
                queued_at=1.0,
            )
        )
        await session.flush()
    return clip


async def _add_scene(session, story_id, caption, clip):
    sub_event = rows.SubEvent(next_take=2)
    session.add(sub_event)
    await session.flush()
    scene = rows.SceneVersion(
        story_id=story_id,
        sub_event_id=sub_event.id,
        caption=caption,
        tone="neutral",
        samples=SAMPLES,
        continues=False,
        layers=[],
        seed=1,
    )
    session.add(scene)
    await session.flush()
    session.add(
        rows.SceneStem(
            scene_id=scene.id,
            stem="composite",
            condition_id=json.loads(clip.request)["condition"],
            clip_key=clip.key,
            rerolls=0,
            is_judged=True,
            flags=[],
        )
    )
    session.add(
        rows.Take(
            sub_event_id=sub_event.id,
            number=1,
            scene_id=scene.id,
            clip_key=clip.key,
            origin="planned",
        )
    )
    return scene


async def _mix(session, store, revision, files):
    made = []
    for at, file in enumerate(files):
        begin = TAIL if at else 0
        if at:
            left = _read(store, files[at - 1], SAMPLES, TAIL)
            seam = crossfade(left, _read(store, file, 0, TAIL))
            made.append((store.audio.add(".au", au_bytes(seam)), 0, TAIL, SEAM.as_dict()))
        made.append((file, begin, SAMPLES - begin, None))
    ids, parts, loudness = [], [], []
    for file, offset, samples, seam in made:
        part = MixSegment(store.audio.path(file), offset, samples)
        measured = measure_segment(part)
        key = hashlib.sha256(f"{file} {offset} {samples}".encode()).hexdigest()
        row = rows.SegmentRow(
            key=key,
            file=file,
            offset=offset,
            samples=samples,
            loudness=measured.as_bytes(),
            seam=seam,
        )
        known = await session.scalar(
            rows.SegmentRow.__table__.select().where(rows.SegmentRow.key == key)
        )
        if known is None:
            session.add(row)
            await session.flush()
        ids.append(known or row.id)
        parts.append(part)
        loudness.append(SegmentLoudness.from_bytes(samples, measured.as_bytes()))
    mastering, report = choose_master_gain(parts, loudness)
    return rows.Mix(
        revision_id=revision.id,
        segments=ids,
        samples=revision.samples,
        mastering={"limiting": mastering.limiting, "of_revision": 1} | report.as_dict(),
        is_accepted=True,
    )


def _read(store, file, start, samples):
    with Mixdown([MixSegment(store.audio.path(file), start, samples)]) as part:
        return part.read(0, samples)


def _finished_run(story_id, revision_id):
    return rows.Run(
        story_id=story_id,
        number=1,
        revision_id=revision_id,
        state=rows.RunState.FINISHED,
        review=False,
        pending_changes=[],
        approved=[],
        attempt=0,
        priority=0,
        start_tag=0,
    )
