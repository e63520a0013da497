import asyncio
import contextlib
import json
import logging
import os
import sqlite3
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from io import BytesIO

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select, text, update

from api.app import create_app
from api.http.deps import AppState
from api.operations import logs
from api.settings import LogFormat, LogLevel, Settings
from nodes.context import bind, bound
from storage import events, keys
from storage.models import (
    Clip,
    Run,
    RunState,
    SegmentRow,
    Work,
    WorkKind,
    WorkState,
    WorkWant,
)
from storage.verification import repair, verify
from storage.worker_lock import WorkerLock
from tests.support.finished_stories import branch, hear, shelve


@pytest.fixture
def store(studio):
    return studio.store


def audiostory(studio, *words, exit_code=0, **environment):
    """Run the command on the studio's data folder."""
    finished = subprocess.run(
        [sys.executable, "-m", "api", *words],
        env=os.environ | {"AUDIOSTORY_HOME": str(studio.settings.home)} | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert finished.returncode == exit_code, finished.stderr
    return finished


async def file_of(store, clip_key):
    async with store.database.read() as session:
        return await session.scalar(select(Clip.file).where(Clip.key == clip_key))


async def break_clip(store, clip_key):
    file = await file_of(store, clip_key)
    with store.audio.path(file).open("r+b") as broken:
        broken.seek(5000)
        broken.write(b"damage")
    return file


def figures(response):
    """Return the samples of a metrics response by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_metrics_tell_where_runs_and_clips_stand(client, store):
    story = await shelve(store, "rain", "thunder", "wind")
    async with store.database.write() as session:
        queued = await session.get_one(Work, (story.clip_keys[0], WorkKind.CLIP))
        queued.state, queued.attempt = WorkState.QUEUED, 2
        (await session.get_one(Clip, story.clip_keys[0])).file = None
        await session.execute(update(Run).values(state=RunState.PARKED))

    found = figures(await client.get("/v1/metrics"))

    tone = ("engine", "tone")
    assert found["audiostory_runs", ("state", "parked")] == 1
    assert found["audiostory_clips", tone, ("state", "finished")] == 2
    assert found["audiostory_clips", tone, ("state", "queued")] == 1
    assert found["audiostory_clip_audio_seconds", tone] == pytest.approx(2.1, abs=0.11)
    assert found["audiostory_clip_failed_attempts", tone] == 2
    assert found["audiostory_oldest_queued_clip_seconds",] > 1e9
    assert found["audiostory_oldest_queued_run_seconds",] == 0
    assert found["audiostory_webhook_deliveries_due",] == 0
    assert found["audiostory_workers_alive",] == 1


async def test_metrics_of_an_empty_store_are_read_too(client):
    found = figures(await client.get("/v1/metrics"))

    assert found["audiostory_oldest_queued_clip_seconds",] == 0


async def test_metrics_count_requests_by_route_template(client, store):
    story = await shelve(store, "rain")
    await client.get(f"/v1/stories/{story.id}")
    await client.get("/v1/stories/nosuchstory")
    await client.get("/made/up")

    response = await client.get("/v1/metrics")

    found = figures(response)
    name = "audiostory_http_request_seconds_count"
    get, template = ("method", "GET"), ("route", "/v1/stories/{story_id}")
    assert found[name, get, template, ("status", "200")] == 1
    assert found[name, get, template, ("status", "404")] == 1
    assert found[name, get, ("route", "(none)"), ("status", "404")] == 1
    assert "nosuchstory" not in response.text
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_metrics_need_an_admin_key_once_there_are_keys(client, store):
    made = {}
    async with store.database.write() as session:
        for scope in ("read", "admin"):
            _, made[scope] = await keys.add(session, name=scope, scopes=[scope])

    async def ask(**headers):
        return (await client.get("/v1/metrics", headers=headers)).status_code

    assert await ask() == 401
    assert await ask(Authorization=f"Bearer {made['read']}") == 403
    assert await ask(Authorization=f"Bearer {made['admin']}") == 200


async def test_ready_service_tells_what_it_looked_at(client):
    response = await client.get("/v1/health/ready")

    assert response.status_code == 200
    checks = {check["name"]: check["is_ok"] for check in response.json()["checks"]}
    names = ("database", "audio folder", "workers", "webhooks", "disk")
    assert checks == dict.fromkeys(names, True)


async def ask_ready(studio, workers=1, **settings):
    state = AppState(studio.store, Settings(home=studio.settings.home, **settings), lambda: workers)
    transport = httpx.ASGITransport(create_app(state))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.get("/v1/health/ready")


def wrong(response):
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["remedy"]
    return [check["name"] for check in response.json()["checks"] if not check["is_ok"]]


async def test_service_whose_audio_folder_cannot_be_written_is_not_ready(studio):
    folder = studio.store.audio.folder
    folder.rename(folder.with_name("away"))
    folder.write_text("a file where the folder should be")

    assert wrong(await ask_ready(studio)) == ["audio folder"]


async def test_service_with_a_full_disk_is_not_ready(studio):
    assert wrong(await ask_ready(studio, least_free_mb=10_000_000)) == ["disk"]


async def test_service_with_the_schema_of_another_version_is_not_ready(studio):
    async with studio.store.database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    assert wrong(await ask_ready(studio)) == ["database"]


async def test_service_is_ready_with_a_worker_that_runs_beside_it(studio):
    assert wrong(await ask_ready(studio, workers=0)) == ["workers"]
    presence = WorkerLock(studio.store.workers)

    assert (await ask_ready(studio, workers=0)).json()["workers"] == 1

    presence.close()
    assert wrong(await ask_ready(studio, workers=0)) == ["workers"]


async def test_probe_leaves_nothing_in_the_audio_folder(client, store):
    before = sorted(store.audio.folder.iterdir())

    await client.get("/v1/health/ready")

    assert sorted(store.audio.folder.iterdir()) == before


async def test_story_is_deleted_over_http(client, store):
    story = await shelve(store, "rain")

    assert (await client.delete(f"/v1/stories/{story.id}")).status_code == 204
    assert (await client.get(f"/v1/stories/{story.id}")).status_code == 404
    assert (await client.delete(f"/v1/stories/{story.id}")).status_code == 404


async def test_story_that_is_worked_on_is_not_deleted_over_http(client, store):
    story = await shelve(store, "rain")
    async with store.database.write() as session:
        await session.execute(update(Run).values(state=RunState.PARKED))

    response = await client.delete(f"/v1/stories/{story.id}")

    assert response.status_code == 409
    assert "Cancel it first" in response.json()["detail"]


async def test_backup_over_http_is_what_the_command_writes(client, studio, store, tmp_path):
    story = await shelve(store, "rain", "thunder")
    path = tmp_path / "story.audiostory"
    audiostory(studio, "backup", story.id, "-o", str(path))

    response = await client.get(f"/v1/stories/{story.id}/backup")

    assert response.content == path.read_bytes()
    assert zipfile.ZipFile(BytesIO(response.content)).testzip() is None
    assert f'filename="{story.id}.audiostory"' in response.headers["content-disposition"]
    assert (await client.get("/v1/stories/nosuch/backup")).status_code == 404


async def test_damaged_story_is_not_backed_up_over_http(client, store):
    story = await shelve(store, "rain", "thunder")
    await break_clip(store, story.clip_keys[0])

    response = await client.get(f"/v1/stories/{story.id}/backup")

    assert response.status_code == 503
    assert "verify" in response.json()["detail"]


async def test_verify_finds_damaged_and_missing_files(store):
    story = await shelve(store, "rain", "thunder", "wind")
    assert await verify(store.database, store.audio) == []
    broken = await break_clip(store, story.clip_keys[0])
    lost = await file_of(store, story.clip_keys[1])
    store.audio.path(lost).unlink()

    found = await verify(store.database, store.audio, story.id)

    told = {damage.file: (damage.found, damage.clips) for damage in found}
    assert told == {
        broken: ("damaged", (story.clip_keys[0],)),
        lost: ("missing", (story.clip_keys[1],)),
    }


async def test_verify_of_one_story_looks_at_no_other(store):
    story, other = await shelve(store, "rain"), await shelve(store, "wind")
    await break_clip(store, other.clip_keys[0])

    assert await verify(store.database, store.audio, story.id) == []


async def test_verify_of_a_branch_looks_at_the_scenes_it_shares(store):
    story = await shelve(store, "rain", "wind")
    branched = await branch(store, story)
    broken = await break_clip(store, story.clip_keys[0])

    assert [damage.file for damage in await verify(store.database, store.audio, branched)] == [
        broken
    ]


async def test_repair_queues_a_damaged_clip_and_every_story_that_hears_it_is_told(store):
    story, other = await shelve(store, "rain", "wind"), await shelve(store, "rain", "hail")
    branched = await branch(store, story)
    key = story.clip_keys[0]
    file = await break_clip(store, key)

    (damage,) = await verify(store.database, store.audio)
    assert await repair(store.database, store.audio, damage) == 1

    async with store.database.read() as session:
        clip = await session.get_one(Clip, key)
        queued = await session.get_one(Work, (key, WorkKind.CLIP))
        wants = list(await session.scalars(select(WorkWant).where(WorkWant.work_key == key)))
        assert (queued.state, clip.file, queued.attempt) == (WorkState.QUEUED, None, 0)
        assert len(wants) == 3
        for story_id in (story.id, other.id, branched):
            told = (await events.list_after(session, story_id, 0))[-1]
            assert told.kind == "clip.damaged"
            assert (told.data["clip"], told.data["file"]) == (key, file)
            assert told.data["found"] == "damaged"
    assert not store.audio.path(file).exists()
    assert store.audio.path(f"{file}.damaged").exists()
    assert await repair(store.database, store.audio, damage) == 0


async def test_damaged_clip_that_is_made_again_sounds_as_before(store):
    story = await shelve(store, "rain", "wind")
    heard = await hear(store, story.id)
    file = await file_of(store, story.clip_keys[0])
    content = store.audio.path(file).read_bytes()
    await break_clip(store, story.clip_keys[0])
    (damage,) = await verify(store.database, store.audio)
    await repair(store.database, store.audio, damage)

    store.audio.add(".flac", content)

    assert await hear(store, story.id) == heard


async def test_commands_keep_a_store_in_order(studio, tmp_path):
    """backup, delete, gc, restore and verify in a row, as an operator uses them."""
    store = studio.store
    story = await shelve(store, "rain", "thunder")
    heard = await hear(store, story.id)
    path = tmp_path / "story.audiostory"

    audiostory(studio, "backup", story.id, "-o", str(path))
    deleted = audiostory(studio, "delete", story.id, "--yes").stdout
    assert "`audiostory gc --delete` frees" in deleted
    assert "24 h old" in deleted
    kept = audiostory(studio, "gc", "--delete")
    assert "removed: 0 files" in kept.stdout
    assert "3 files more (" in kept.stderr
    assert "must be 24 h old first" in kept.stderr
    newest = max(file.stat().st_mtime for file in store.audio.folder.glob("??/*"))
    last = datetime.fromtimestamp(newest + 24 * 3600, UTC).astimezone()
    assert f"by {last:%Y-%m-%d %H:%M}" in kept.stderr
    told = json.loads(audiostory(studio, "gc", "--json").stdout)
    sizes = [file.stat().st_size for file in store.audio.folder.glob("??/*")]
    assert (told["young_files"], told["young_bytes"]) == (3, sum(sizes))
    for file in store.audio.folder.glob("??/*"):
        os.utime(file, (0, 0))
    foreseen = json.loads(audiostory(studio, "gc", "--json").stdout)
    assert len(foreseen["files"]) == 3
    assert foreseen["young_files"] == 0
    assert len(list(store.audio.find_names())) == 3
    removed = json.loads(audiostory(studio, "gc", "--delete", "--json").stdout)
    assert removed["files"] == foreseen["files"]
    assert list(store.audio.find_names()) == []
    restored = json.loads(audiostory(studio, "restore", str(path), "--json").stdout)
    assert restored == {"story": story.id, "was": story.id, "files": 3}
    assert await hear(store, story.id) == heard
    audiostory(studio, "verify")
    await break_clip(store, story.clip_keys[0])
    listed = audiostory(studio, "verify", story.id, "--json", exit_code=1)
    assert len(json.loads(listed.stdout)["damaged"]) == 1
    assert (
        "1 clips are queued again" in audiostory(studio, "verify", "--repair", exit_code=1).stderr
    )


async def test_damaged_seam_is_mended_to_the_same_bytes(studio):
    store = studio.store
    story = await shelve(store, "rain", "wind")
    heard = await hear(store, story.id)
    async with store.database.read() as session:
        seam = await session.scalar(select(SegmentRow.file).where(SegmentRow.file.endswith(".au")))
    store.audio.path(seam).write_bytes(b"damage")

    told = audiostory(studio, "verify", story.id, "--repair", "--json", exit_code=1)

    assert json.loads(told.stdout)["mended"] == 1
    assert await hear(store, story.id) == heard
    audiostory(studio, "verify", story.id)


def test_story_restored_elsewhere_exports_the_same_bytes_and_makes_no_clip(tmp_path):
    """A story that foley made in one data folder, heard in another that never ran an engine."""
    here, there = (os.environ | {"AUDIOSTORY_HOME": str(tmp_path / name)} for name in "ab")

    def run(environment, *words):
        words = [sys.executable, "-m", "api", *map(str, words)]
        finished = subprocess.run(words, env=environment, capture_output=True, text=True)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    text = "Rain falls on a tin roof. Then a dog barks twice. Then a train passes."
    first, bundle, second = (tmp_path / name for name in ("a.wav", "s.audiostory", "b.wav"))
    run(here, "create", text, "--duration", "6", "--seed", "5", "-o", first)
    (story,) = json.loads(run(here, "list", "--json"))
    run(here, "backup", story["id"], "-o", bundle)
    run(there, "restore", bundle)
    database = sqlite3.connect(tmp_path / "b/studio.db")
    assert set(database.execute("SELECT state, owner FROM work")) == {("finished", None)}
    assert database.execute("SELECT count(*) FROM work_want").fetchone() == (0,)
    finished_at = database.execute("SELECT key, finished_at FROM clip ORDER BY key").fetchall()

    run(there, "resume", story["id"], "-o", second)

    assert second.read_bytes() == first.read_bytes()
    after = database.execute("SELECT key, finished_at FROM clip ORDER BY key").fetchall()
    assert after == finished_at
    database.close()


@pytest.mark.parametrize(
    "words",
    [
        ("backup", "nosuch"),
        ("backup", "../../evil"),
        ("delete", "nosuch", "--yes"),
        ("verify", "nosuch"),
        ("restore", "nosuch.audiostory"),
    ],
)
async def test_commands_about_what_does_not_exist_end_in_one_line(studio, words):
    finished = audiostory(studio, *words, exit_code=2)

    assert finished.stderr.count("\n") == 1
    assert "Traceback" not in finished.stderr


async def test_delete_asks_unless_told_not_to(studio):
    story = await shelve(studio.store, "rain")

    audiostory(studio, "delete", story.id, exit_code=130)

    assert await hear(studio.store, story.id)


@contextlib.contextmanager
def logged(capsys, form, level=LogLevel.INFO):
    """Log as the service does within the block; afterwards the list holds the lines."""
    root = logging.getLogger()
    kept = root.handlers, root.level
    lines = []
    try:
        logs.configure(form, level, bound)
        yield lines
        lines += capsys.readouterr().err.splitlines()
    finally:
        root.handlers, root.level = kept


def test_log_lines_are_json_with_the_ids_of_what_is_worked_on(capsys):
    with logged(capsys, LogFormat.JSON) as lines:
        with bind(story_id="abc", run_id=3):
            with bind(clip="k1"):
                logging.getLogger("graph.worker").info("made %s", "rain", extra={"took_s": 1.5})
            logging.getLogger("graph.worker").info("parked")
        logging.getLogger("graph.worker").info("idle")

    made, parked, idle = map(json.loads, lines)
    assert (made["event"], made["level"], made["logger"]) == ("made rain", "info", "graph.worker")
    assert (made["story_id"], made["run_id"], made["clip"]) == ("abc", 3, "k1")
    assert made["took_s"] == 1.5
    assert (parked["run_id"], "clip" in parked) == (3, False)
    assert "story_id" not in idle


async def test_ids_follow_into_tasks_and_threads(capsys):
    log = logging.getLogger("nodes.synthesize")

    async def work():
        await asyncio.to_thread(log.warning, "in a thread")

    with logged(capsys, LogFormat.JSON) as lines:
        with bind(story_id="abc"):
            task = asyncio.create_task(work())
        await task

    assert json.loads(lines[0])["story_id"] == "abc"


@pytest.mark.parametrize("form", LogFormat)
def test_secrets_are_struck_out_of_log_lines(capsys, form):
    secret = "0123456789abcdef" * 3
    with logged(capsys, form) as lines:
        log = logging.getLogger("api.http.access")
        log.warning("key as_abc123_%s was sent", secret)
        log.warning("sent", extra={"header": f"Bearer as_abc123_{secret}"})
        log.warning("cannot reach postgresql://studio:hunter2@db:5432/studio")
        log.warning("signed with whsec_aGVsbG8gd29ybGQhIQ==")
        try:
            raise ValueError(f"as_abc123_{secret}")
        except ValueError:
            log.exception("failed")

    told = "\n".join(lines)
    assert secret not in told
    assert "hunter2" not in told
    assert "aGVsbG8" not in told
    assert "as_abc123_…" in told or "as_abc123_\\u2026" in told


def test_access_log_tells_no_query(capsys):
    with logged(capsys, LogFormat.JSON) as lines:
        logging.getLogger("uvicorn.access").info(
            '%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", "/v1/stories?token=hidden", "1.1", 200
        )

    line = json.loads(lines[0])
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/stories", 200)
    assert "hidden" not in lines[0]


def test_other_libraries_only_warn(capsys):
    with logged(capsys, LogFormat.CONSOLE, LogLevel.DEBUG) as lines:
        logging.getLogger("httpx").info("GET https://hooks.example/secret")
        logging.getLogger("api.webhooks.sender").debug("sent")

    assert len(lines) == 1
    assert "sent" in lines[0]
