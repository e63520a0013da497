import hashlib
import json
import shutil
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from api.backups.bundles import AUDIO, MANIFEST, ROWS, back_up
from api.backups.restoration import restore
from api.exports.media_type import AudioKind
from api.exports.schemas import ExportCreate
from api.exports.service import find_file, open_mix, request_export
from audiostory_core.audio.export import export
from audiostory_core.errors import BadInput
from nodes.jobs.export import make_export
from nodes.services import Services
from storage import deletion, events, work
from storage.errors import NotFound, StoreUnusable
from storage.models import (
    Clip,
    Event,
    Export,
    Revision,
    Run,
    RunState,
    SceneStem,
    SceneVersion,
    SegmentRow,
    Story,
    Take,
    Work,
    WorkKind,
    WorkState,
    WorkWant,
)
from tests.support.finished_stories import branch, hear, shelve
from tests.support.postgres import ON_BOTH_DATABASES
from tests.support.studio import Studio

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def store(studio):
    return studio.store


@pytest.fixture
async def elsewhere(tmp_path, migrated):
    """Another store, that knows nothing of the first; of SQLite, whatever the first is of."""
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(migrated, tmp_path / "elsewhere/studio.db")
    studio = await Studio.make(tmp_path / "elsewhere")
    yield studio.store
    await studio.store.database.close()


@pytest.fixture
async def story(store):
    return await shelve(store, "rain", "thunder \N{LINE SEPARATOR} 雷", "silence")


@pytest.fixture
async def bundle(store, story, tmp_path):
    path = tmp_path / "story.audiostory"
    await back_up(store, story.id, path)
    return path


async def count(store, table):
    async with store.database.read() as session:
        return await session.scalar(select(func.count()).select_from(table))


async def scalars(store, query):
    async with store.database.read() as session:
        return list(await session.scalars(query))


def rewritten(bundle: Path, **changed) -> Path:
    """Write the bundle anew with some members changed, and a manifest that fits them."""
    with zipfile.ZipFile(bundle) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop(MANIFEST))
    for name, change in changed.pop("members", {}).items():
        members[name] = change(members[name])
    manifest["members"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in members.items()
    }
    manifest |= changed
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(manifest))
        for name, content in members.items():
            archive.writestr(name, content)
    return bundle


def with_rows(bundle: Path, change) -> Path:
    """Write the bundle anew with its rows changed by a function of (table, row)."""

    def changed(text):
        lines = [json.loads(line) for line in text.decode().removesuffix("\n").split("\n")]
        for line in lines:
            change(line["table"], line["row"])
        return "\n".join(json.dumps(line) for line in lines).encode()

    return rewritten(bundle, members={ROWS: changed})


@ON_BOTH_DATABASES
async def test_restored_story_sounds_the_same_to_the_bit_without_synthesis(
    store, story, bundle, elsewhere
):
    restored = await restore(elsewhere, bundle)

    assert restored.story_id == restored.was == story.id
    assert await hear(elsewhere, story.id) == await hear(store, story.id)
    states = await scalars(elsewhere, select(Work.state))
    assert set(states) == {WorkState.FINISHED}
    assert await count(elsewhere, WorkWant) == 0


async def test_restored_story_has_its_scenes_takes_revisions_and_events(
    store, story, bundle, elsewhere
):
    await shelve(elsewhere, "something that takes the first ids")

    await restore(elsewhere, bundle)

    for table in (Revision, SceneVersion, Take, Run, Event):
        assert await count(elsewhere, table) >= await count(store, table)
    of_story = SceneVersion.story_id == story.id
    worded = select(SceneVersion.caption).where(of_story).order_by(SceneVersion.id)
    assert await scalars(elsewhere, worded) == await scalars(store, worded)
    heard = select(SceneStem).join(SceneVersion, SceneVersion.id == SceneStem.scene_id)
    heard = heard.where(of_story).order_by(SceneVersion.id)
    told = [(stem.clip_key, stem.condition_id) for stem in await scalars(store, heard)]
    assert [(stem.clip_key, stem.condition_id) for stem in await scalars(elsewhere, heard)] == told
    async with elsewhere.database.read() as session:
        kinds = [event.kind for event in await events.list_after(session, story.id, 0)]
    assert kinds == ["story.created", "story.restored"]


@ON_BOTH_DATABASES
async def test_story_restored_twice_is_a_second_story_that_shares_its_sound(
    story, bundle, elsewhere
):
    first = await restore(elsewhere, bundle)
    files = len(list(elsewhere.audio.find_names()))
    second = await restore(elsewhere, bundle)

    assert second.story_id != first.story_id
    assert second.was == story.id
    assert await hear(elsewhere, second.story_id) == await hear(elsewhere, first.story_id)
    assert len(list(elsewhere.audio.find_names())) == files
    assert await count(elsewhere, SegmentRow) == 5
    assert await count(elsewhere, Clip) == 3


@ON_BOTH_DATABASES
async def test_story_is_restored_into_the_store_it_was_deleted_from(store, story, bundle):
    heard = await hear(store, story.id)
    async with store.database.write() as session:
        await deletion.delete_story(session, story.id)

    assert (await restore(store, bundle)).story_id == story.id
    assert await hear(store, story.id) == heard


@ON_BOTH_DATABASES
async def test_backup_of_a_branch_holds_the_scenes_that_it_shares(
    store, story, elsewhere, tmp_path
):
    branched = await branch(store, story)
    path = tmp_path / "branch.audiostory"
    await back_up(store, branched, path)

    await restore(elsewhere, path)

    assert await hear(elsewhere, branched) == await hear(store, story.id)
    assert await count(elsewhere, Story) == 1


async def test_backup_of_one_story_has_the_same_bytes_every_time(store, story, bundle, tmp_path):
    again = tmp_path / "again.audiostory"
    await back_up(store, story.id, again)

    assert again.read_bytes() == bundle.read_bytes()


async def test_backup_holds_no_exports(store, story, bundle, elsewhere, tmp_path):
    view = await request_export(store, story.id, ExportCreate(format=AudioKind.WAV))
    async with store.database.write() as session:
        claimed = await work.claim(session, "a", 60.0, WorkKind.EXPORT, ["wav"])
    assert await make_export(claimed, Services(store.database, store.audio, {}, {})) == 1
    assert await find_file(store, story.id, view.id) is not None
    again = tmp_path / "again.audiostory"
    await back_up(store, story.id, again)

    with zipfile.ZipFile(bundle) as before, zipfile.ZipFile(again) as after:
        assert after.namelist() == before.namelist()
    await restore(elsewhere, again)
    assert await count(elsewhere, Export) == 0


async def test_backup_is_a_zip_whose_members_are_what_its_manifest_says(bundle):
    with zipfile.ZipFile(bundle) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read(MANIFEST))
        for name, told in manifest["members"].items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == told["sha256"]
        audio = [info for info in archive.infolist() if info.filename.startswith(AUDIO)]
    assert len(audio) == 5
    assert {info.compress_type for info in audio} == {zipfile.ZIP_STORED}


async def test_restored_mix_keeps_its_seam_beside_another_of_the_same_key(
    store, story, bundle, elsewhere
):
    heard = await hear(store, story.id)
    await shelve(elsewhere, "rain", "thunder \N{LINE SEPARATOR} 雷", "silence")
    async with elsewhere.database.write() as session:
        rendered = await session.scalar(select(SegmentRow).where(SegmentRow.file.endswith(".au")))
        rendered.file = elsewhere.audio.add(
            ".au", store.audio.path(rendered.file).read_bytes()[:-8]
        )

    restored = await restore(elsewhere, bundle)

    assert await hear(elsewhere, restored.story_id) == heard
    assert await count(elsewhere, SegmentRow) == 6


@ON_BOTH_DATABASES
async def test_restoring_makes_a_clip_that_another_story_waits_for(story, bundle, elsewhere):
    other = await shelve(elsewhere, "rain", "wind")
    shared = other.clip_keys[0]
    async with elsewhere.database.write() as session:
        (await session.get_one(Clip, shared)).file = None
        (await session.get_one(Work, (shared, "clip"))).state = WorkState.QUEUED
        run = await session.scalar(select(Run))
        run.state, run.waits_for = RunState.PARKED, "clips"
        session.add(WorkWant(work_key=shared, work_kind="clip", run_id=run.id))

    await restore(elsewhere, bundle)

    assert await scalars(elsewhere, select(Work.state).where(Work.key == shared)) == ["finished"]
    woken = await scalars(elsewhere, select(Run.state).where(Run.story_id == other.id))
    assert woken == [RunState.QUEUED]
    assert await count(elsewhere, WorkWant) == 0


async def test_restoring_a_story_in_progress_queues_nothing(store, story, elsewhere, tmp_path):
    async with store.database.write() as session:
        await session.execute(update(Run).values(state=RunState.PARKED, waits_for="clips"))
        (await session.get_one(Clip, story.clip_keys[2])).file = None
        (await session.get_one(Work, (story.clip_keys[2], "clip"))).state = WorkState.QUEUED
    path = tmp_path / "story.audiostory"
    await back_up(store, story.id, path)

    await restore(elsewhere, path)

    assert await scalars(elsewhere, select(Run.state)) == [RunState.CANCELLED]
    states = await scalars(elsewhere, select(Work.state).order_by(Work.state))
    assert states == [WorkState.FINISHED, WorkState.FINISHED, WorkState.WITHDRAWN]


async def test_damaged_story_is_not_backed_up(store, story, tmp_path):
    (file,) = await scalars(store, select(Clip.file).where(Clip.key == story.clip_keys[0]))
    with store.audio.path(file).open("r+b") as broken:
        broken.truncate(1000)

    with pytest.raises(StoreUnusable, match=r"1 of 5 audio files .* verify"):
        await back_up(store, story.id, tmp_path / "story.audiostory")

    assert list(tmp_path.glob("*.audiostory")) == []


async def test_story_that_does_not_exist_is_not_backed_up(store, tmp_path):
    with pytest.raises(NotFound):
        await back_up(store, "nothing", tmp_path / "story.audiostory")


async def refused(store, bundle, words):
    """Make sure that a bundle is refused with one clear error, and leaves nothing behind."""
    with pytest.raises(BadInput, match=words) as caught:
        await restore(store, bundle)
    assert caught.value.field == "bundle"
    assert await count(store, Story) == 0
    assert await count(store, Clip) == 0
    assert list(store.audio.find_names()) == []


async def test_bundle_that_does_not_exist_is_refused(elsewhere, tmp_path):
    await refused(elsewhere, tmp_path / "no.audiostory", "does not exist")


async def test_file_that_is_no_bundle_is_refused(elsewhere, tmp_path):
    path = tmp_path / "story.audiostory"
    path.write_bytes(b"RIFF" * 1000)
    await refused(elsewhere, path, "is no backup of a story")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(ROWS, "{}")
    await refused(elsewhere, path, "is a ZIP file, but no backup")
    await refused(elsewhere, tmp_path, "cannot be read")


async def test_bundle_cut_short_anywhere_is_refused(elsewhere, bundle):
    whole = bundle.read_bytes()
    for share in (0.0, 0.1, 0.5, 0.9, 0.999):
        bundle.write_bytes(whole[: int(len(whole) * share)])
        await refused(elsewhere, bundle, "backup of a story|cannot be re")


async def test_bundle_with_a_flipped_byte_is_refused_or_none_the_worse(
    store, story, elsewhere, bundle
):
    whole = bundle.read_bytes()
    heard = await hear(store, story.id)
    for at in range(7, len(whole), len(whole) // 25):
        bundle.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        with suppress(BadInput):
            restored = await restore(elsewhere, bundle)
            assert await hear(elsewhere, restored.story_id) == heard


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "audio/../../evil.flac", "audio/x.flac", "notes.txt"]
)
async def test_bundle_with_a_foreign_member_is_refused(elsewhere, bundle, name):
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr(name, b"x")

    await refused(elsewhere, bundle, "a member that no bundle has")


async def test_bundle_of_another_version_is_refused(elsewhere, bundle):
    await refused(
        elsewhere, rewritten(bundle, format=4), "is of format 4; this version reads up to 3"
    )


async def test_bundle_whose_audio_is_not_what_its_name_says_is_refused(elsewhere, bundle):
    with zipfile.ZipFile(bundle) as archive:
        audio = next(name for name in archive.namelist() if name.startswith(AUDIO))

    changed = rewritten(bundle, members={audio: lambda content: content[:-1] + b"!"})

    await refused(elsewhere, changed, "is not named by its content")


async def test_member_that_unpacks_to_more_than_it_says_is_refused(elsewhere, bundle):
    """A directory entry that understates a deflated member, as a ZIP bomb's does."""
    text = b" " * 50_000_000
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr(MANIFEST, text, zipfile.ZIP_DEFLATED)
        archive.writestr(ROWS, b"")
    content = bytearray(bundle.read_bytes())
    for at in (content.find(b"PK\x03\x04") + 22, content.find(b"PK\x01\x02") + 24):
        content[at : at + 4] = struct.pack("<I", 1000)
    bundle.write_bytes(content)

    await refused(elsewhere, bundle, "backup of a story|cannot be re")


async def test_member_that_is_too_large_is_refused_unread(elsewhere, bundle):
    with zipfile.ZipFile(bundle, "w") as archive, archive.open(ROWS, "w", force_zip64=True) as file:
        for _ in range(257):
            file.write(b" " * (1 << 20))

    await refused(elsewhere, bundle, "is too large")


async def test_deflated_audio_is_refused(elsewhere, bundle):
    with zipfile.ZipFile(bundle, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{AUDIO}{'0' * 64}.flac", b"x" * 1000)

    await refused(elsewhere, bundle, "compressed or encrypted")


def set_to(table, column, value):
    def change(name, row):
        if name == table:
            row[column] = value

    return change


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("story", "id", "../../evil"),
        ("story", "id", None),
        ("story", "seed", 2**63),
        ("story", "seed", "7"),
        ("story", "next_event", 2**63 - 1),
        ("story", "priority", -(2**62)),
        ("sub_event", "next_take", 2**63 - 1),
        ("revision", "created_at", 1e308),
        ("story", "surprise", 1),
        ("story", "revision_id", 99),
        ("story", "tail_s", -1.0),
        ("story", "tail_s", float("nan")),
        ("revision", "scenes", [99, 98, 97]),
        ("revision", "samples", 1),
        ("revision", "plan", {}),
        ("scene", "caption", ""),
        ("scene", "caption", "a\0b"),
        ("scene", "layers", [{"kind": "bomb"}]),
        ("scene", "sub_event_id", 99),
        ("scene_stem", "condition_id", "0" * 64),
        ("scene_stem", "clip_key", "0" * 64),
        ("scene_stem", "stem", "drums"),
        ("scene_stem", "scene_id", 99),
        ("scene", "starts_s", ["soon"]),
        ("take", "stem", "drums"),
        ("mix", "stems", ["sum", "composite"]),
        ("mix", "balance", {"gains": 1}),
        ("take", "clip_key", "0" * 64),
        ("take", "number", 2),
        ("clip", "request", "{}"),
        ("clip", "state", "lost"),
        ("clip", "file", "../../../etc/passwd"),
        ("clip", "file", None),
        ("clip", "measures", {"peak": float("inf")}),
        ("clip", "engine_report", {"matched": 1}),
        ("segment", "file", "/etc/passwd"),
        ("segment", "offset", -1),
        ("segment", "samples", 10**9),
        ("segment", "loudness", "AAAA"),
        ("segment", "loudness", "not base64!"),
        ("mix", "segments", []),
        ("mix", "mastering", {"gain_db": "loud"}),
        ("run", "state", "dancing"),
        ("event", "kind", "x\n\ndata: evil"),
    ],
)
async def test_bundle_with_a_row_that_fits_nothing_is_refused(
    elsewhere, bundle, table, column, value
):
    await refused(elsewhere, with_rows(bundle, set_to(table, column, value)), "backup|restored")


async def test_bundle_with_two_stories_is_refused(elsewhere, bundle):
    with zipfile.ZipFile(bundle) as archive:
        first = archive.read(ROWS).partition(b"\n")[0]

    changed = rewritten(bundle, members={ROWS: lambda text: text + first})

    await refused(elsewhere, changed, "exactly one story")


async def test_bundle_of_format_1_sounds_as_the_version_that_made_it_wrote_it(store, tmp_path):
    restored = await restore(store, DATA / "story_of_format_1.audiostory")

    async with store.database.read() as session:
        mix = await open_mix(session, store.audio, restored.story_id)
    with mix:
        export(mix, tmp_path / "story.wav")
    digest = hashlib.sha256((tmp_path / "story.wav").read_bytes()).hexdigest()
    assert digest == "e8b573a44074da02eec56887264f5d4b72a709b622abc14d206f91e20a8b816e"
    (clip,) = await scalars(store, select(Clip))
    assert clip.measures["loudness_lufs"] is not None
    assert clip.engine_report["matched"]
