import asyncio
import io
import shutil
from contextlib import suppress

import httpx
import numpy as np
import pytest
import soundfile

from api.exports import routes as export_routes
from api.exports.service import open_mix
from audiostory_core.audio.export import export
from storage import revisions, stories
from tests.support.servers import assert_problem
from tests.support.studio import Studio


@pytest.fixture(scope="module")
def finished_home(tmp_path_factory):
    """A data folder with one story, of three scenes, that is done; and the story's id."""
    home = tmp_path_factory.mktemp("finished") / "home"

    async def finish() -> str:
        studio = await Studio.make(home)
        story = await studio.add("rain\nthunder\nbirds", duration_s=6.0)
        await studio.run(story.id)
        await studio.store.database.close()
        return story.id

    return home, asyncio.run(finish())


@pytest.fixture
async def studio(tmp_path, finished_home):
    """A studio that has the finished story."""
    shutil.copytree(finished_home[0], tmp_path / "home")
    studio = await Studio.make(tmp_path / "home")
    yield studio
    await studio.store.database.close()


@pytest.fixture
def finished(finished_home) -> str:
    return finished_home[1]


@pytest.fixture
async def exported(studio, finished, tmp_path) -> dict[str, bytes]:
    """The bytes of the finished story's mix as the command line writes them."""
    files = {}
    for suffix in ("wav", "flac"):
        async with studio.store.database.read() as session:
            mix = await open_mix(session, studio.store.audio, finished)
        with mix:
            export(mix, tmp_path / f"story.{suffix}")
        files[suffix] = (tmp_path / f"story.{suffix}").read_bytes()
    return files


async def test_mix_is_the_file_the_command_line_writes(client, finished, exported):
    path = f"/v1/stories/{finished}/mix"

    for suffix, content in exported.items():
        for url, accept in ((f"{path}.{suffix}", "*/*"), (path, f"audio/{suffix}")):
            response = await client.get(url, headers={"Accept": accept})
            assert (response.status_code, response.content) == (200, content)
            assert response.headers["content-type"] == f"audio/{suffix}"
            assert response.headers["content-length"] == str(len(content))
            assert response.headers["accept-ranges"] == "bytes"
            assert f'{finished}.{suffix}"' in response.headers["content-disposition"]


@pytest.mark.parametrize(
    ("accept", "suffix"),
    [
        ("*/*", "wav"),
        ("audio/*", "wav"),
        ("audio/flac, audio/wav;q=0.5", "flac"),
        ("AUDIO/FLAC;Q=1.0", "flac"),
        ("audio/x-wav", "wav"),
        ("text/html, */*;q=0.1", "wav"),
        ("audio/wav;q=0, */*", "flac"),
        ("audio/wav;q=nonsense, audio/flac;q=0.9", "wav"),
    ],
)
async def test_accept_chooses_the_format(client, finished, accept, suffix):
    response = await client.head(f"/v1/stories/{finished}/mix", headers={"Accept": accept})

    assert response.headers["content-type"] == f"audio/{suffix}"
    assert response.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", ["text/html", "", "audio/ogg", "audio/*;q=0"])
async def test_format_that_is_not_made_is_not_acceptable(client, finished, accept):
    response = await client.get(f"/v1/stories/{finished}/mix", headers={"Accept": accept})

    assert_problem(response, 406)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
async def test_ranges_are_slices_of_the_whole(client, finished, exported, suffix):
    path, whole = f"/v1/stories/{finished}/mix.{suffix}", exported[suffix]
    length = len(whole)
    ranges = {
        "bytes=0-0": (0, 0),
        "bytes=0-99": (0, 99),
        "bytes=40-50": (40, 50),
        "bytes=400001-700000": (400_001, 700_000),
        f"bytes={length - 1}-": (length - 1, length - 1),
        "bytes=300000-": (300_000, length - 1),
        "bytes=-1000": (length - 1000, length - 1),
        f"bytes=-{length + 5}": (0, length - 1),
        f"bytes=10-{length + 10**20}": (10, length - 1),
        "Bytes=7-8": (7, 8),
    }
    for told, (first, last) in ranges.items():
        response = await client.get(path, headers={"Range": told})
        assert (response.status_code, told) == (206, told)
        assert response.content == whole[first : last + 1]
        assert response.headers["content-range"] == f"bytes {first}-{last}/{length}"
        assert response.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("told", ["bytes={length}-", "bytes=9{length}-", "bytes=-0"])
async def test_range_beyond_the_end_cannot_be_met(client, finished, exported, suffix, told):
    length = len(exported[suffix])

    response = await client.get(
        f"/v1/stories/{finished}/mix.{suffix}", headers={"Range": told.format(length=length)}
    )

    assert_problem(response, 416)
    assert response.headers["content-range"] == f"bytes */{length}"


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize(
    "told",
    ["bytes=9-5", "bytes=-", "bytes=", "bytes=a-b", "bytes=0-1,5-6", "seconds=0-1", "", "٣-٤"],
)
async def test_range_that_cannot_be_read_gives_the_whole(client, finished, exported, suffix, told):
    response = await client.get(
        f"/v1/stories/{finished}/mix.{suffix}", headers={"Range": told.encode()}
    )

    assert (response.status_code, response.content) == (200, exported[suffix])


async def test_validators_tell_whether_the_mix_has_changed(client, finished):
    path = f"/v1/stories/{finished}/mix.wav"
    etag = (await client.get(path)).headers["etag"]

    for known in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        response = await client.get(path, headers={"If-None-Match": known})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == etag
    stale = await client.get(path, headers={"If-None-Match": '"x"'})
    assert stale.status_code == 200
    ranges = {
        known: await client.get(path, headers={"Range": "bytes=0-9", "If-Range": known})
        for known in (etag, '"x"', f"W/{etag}", "Wed, 21 Oct 2015 07:28:00 GMT")
    }
    assert [response.status_code for response in ranges.values()] == [206, 200, 200, 200]


async def test_etag_differs_by_format_and_story(client, studio, finished):
    other = await studio.add("wind\nsea", duration_s=3.0)
    await studio.run(other.id)

    etags = [
        (await client.head(f"/v1/stories/{story_id}/mix.{suffix}")).headers["etag"]
        for story_id in (finished, other.id)
        for suffix in ("wav", "flac")
    ]

    assert len(set(etags)) == 4
    assert all(etag.startswith('"') for etag in etags)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
async def test_head_tells_the_length_and_ignores_ranges(client, finished, exported, suffix):
    response = await client.head(
        f"/v1/stories/{finished}/mix.{suffix}", headers={"Range": "bytes=0-1"}
    )

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len(exported[suffix]))


async def test_clip_is_as_the_engine_made_it(client, studio, finished):
    async with studio.store.database.read() as session:
        story = await stories.get(session, finished)
        revision = await revisions.get(session, story.revision_id)
    path = f"/v1/stories/{finished}/clips"

    for index in range(1, len(revision.scenes) + 1):
        scenes = (await client.get(f"/v1/stories/{finished}/sub-events")).json()
        flac = (await client.get(f"{path}/{index}.flac")).content
        wav = (await client.get(f"{path}/{index}")).content
        made, rate = soundfile.read(io.BytesIO(flac), dtype="int32")
        heard, _ = soundfile.read(io.BytesIO(wav), dtype="int32")
        tail_s = 0.0 if index == len(revision.scenes) else 1.0
        assert len(made) == round((scenes[index - 1]["duration_s"] + tail_s) * rate)
        assert np.array_equal(made, heard)
        part = await client.get(f"{path}/{index}.wav", headers={"Range": "bytes=1000-70000"})
        assert part.content == wav[1000:70001]


@pytest.mark.parametrize(
    "index",
    [
        "0",
        "4",
        "-1",
        "1.5",
        "01",
        "x",
        "٣",
        "1.ogg",
        "1.wav.wav",
        "9" * 30,
        "1%00",
        "%2e%2e",
        "..%2fmix",
    ],
)
async def test_clip_that_is_not_there_is_not_found(client, finished, index):
    assert_problem(await client.get(f"/v1/stories/{finished}/clips/{index}"), 404)


@pytest.mark.parametrize("suffix", ["ogg", "mp3", "wav.flac", "WAV", "%2e%2e", "wav%00"])
async def test_format_without_name_is_not_found(client, finished, suffix):
    assert_problem(await client.get(f"/v1/stories/{finished}/mix.{suffix}"), 404)


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("mix.mp3", "Ask for .wav or .flac."),
        ("clips/9.wav", "GET /v1/stories/{story}/sub-events lists them by number"),
        ("clips/x", "GET /v1/stories/{story}/sub-events lists them by number"),
        ("sub-events/1/takes/9", "GET /v1/stories/{story}/sub-events/1/takes lists them."),
        ("diff?before=8&after=9", "GET /v1/stories/{story}/revisions lists them"),
    ],
)
async def test_remedy_of_what_is_not_there_points_to_what_is(client, finished, path, remedy):
    problem = assert_problem(await client.get(f"/v1/stories/{finished}/{path}"), 404)

    assert problem["remedy"].startswith(remedy.format(story=finished))


async def test_remedy_of_a_mix_that_is_not_made_points_to_its_story(client, studio):
    story = await studio.add("rain", review=True)

    problem = assert_problem(await client.get(f"/v1/stories/{story.id}/mix"), 404)

    assert problem["remedy"].startswith(f"GET /v1/stories/{story.id} tells how far it is")


async def test_audio_that_is_not_made_yet_is_not_found(client, studio):
    story = await studio.add("rain", review=True)
    for _ in range(2):
        assert_problem(await client.get(f"/v1/stories/{story.id}/mix"), 404, "mix of story")
        assert_problem(await client.get(f"/v1/stories/{story.id}/clips/1"), 404)
        await studio.run(story.id)


@pytest.mark.parametrize("path", ["mix.wav", "mix.flac", "clips/1.wav", "clips/1.flac"])
async def test_lost_file_is_an_error_before_the_answer_begins(client, studio, finished, path):
    for file in studio.store.audio.folder.glob("*/*"):
        file.unlink()

    response = await client.get(f"/v1/stories/{finished}/{path}")

    assert assert_problem(response, response.status_code)["status"] in (500, 503)


async def test_flac_files_made_for_download_are_few(client, studio, monkeypatch):
    monkeypatch.setattr(export_routes, "KEPT_EXPORTS", 2)
    for n in range(3):
        story = await studio.add("rain", seed=n, duration_s=1.0)
        await studio.run(story.id)
        assert (await client.get(f"/v1/stories/{story.id}/mix.flac")).status_code == 200

    assert len(list(studio.store.exports.iterdir())) == 2


async def test_folder_that_cannot_be_written_says_so(client, studio, finished):
    studio.store.exports.write_text("a file where a folder should be")

    problem = assert_problem(await client.get(f"/v1/stories/{finished}/mix.flac"), 503)

    assert "ask for WAV" in problem["detail"]
    assert (await client.get(f"/v1/stories/{finished}/mix.wav")).status_code == 200


@pytest.mark.parametrize("path", ["mix.wav", "mix.flac", "sub-events/1/takes/1"])
async def test_audio_that_is_gone_is_a_problem_that_names_the_remedy(
    client, studio, finished, path
):
    for file in studio.store.audio.folder.glob("??/*"):
        file.unlink()

    response = await client.get(f"/v1/stories/{finished}/{path}")

    assert "audiostory resume ID" in assert_problem(response, 503)["remedy"]


def _flip(path, at):
    """Change a single bit of a file, in place."""
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1 << at % 8
    path.write_bytes(content)


def _files(studio, suffix):
    return sorted(studio.store.audio.folder.glob(f"??/*.{suffix}"))


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("at", [3, 19, 31, 3_000, 123_457, -1])
async def test_seam_with_one_wrong_bit_is_mended_before_it_is_heard(
    client, studio, finished, exported, suffix, at
):
    (await client.get(f"/v1/stories/{finished}/mix.wav")).raise_for_status()
    seam = _files(studio, "au")[0]
    sound = seam.read_bytes()
    _flip(seam, at)
    start = 44 + 6 * 80_000
    ranges = {"Range": f"bytes={start}-"} if suffix == "wav" else {}
    whole = exported[suffix]

    response = await client.get(f"/v1/stories/{finished}/mix.{suffix}", headers=ranges)

    assert response.content == (whole[start:] if ranges else whole)
    assert seam.read_bytes() == sound
    assert seam.with_name(f"{seam.name}.damaged").exists()


async def test_seam_that_is_met_amid_the_answer_ends_it_and_is_mended_for_the_next(
    socket_client, studio, finished, exported, caplog
):
    path = f"/v1/stories/{finished}/mix.wav"
    async with studio.store.database.read() as session:
        mix = await open_mix(session, studio.store.audio, finished)
    last = [part.path for part in mix.segments if part.path.suffix == ".au"][-1]
    _flip(last, 999)
    await asyncio.sleep(0.1)  # what is written at this moment is not remembered yet

    received = await _receive(socket_client, path)
    assert 0 < len(received) < len(exported["wav"])
    assert exported["wav"].startswith(received)
    assert last.name in caplog.records[0].getMessage()
    assert [record.exc_info for record in caplog.records if record.exc_info] == []

    assert (await socket_client.get(path)).content == exported["wav"]


async def _receive(client, path) -> bytes:
    """Return what comes of a body before its connection ends."""
    received = b""
    with suppress(httpx.RemoteProtocolError):
        async with client.stream("GET", path) as response:
            async for chunk in response.aiter_bytes():
                received += chunk
    return received


@pytest.mark.parametrize(
    "path", ["mix.wav", "mix.flac", "clips/1.wav", "clips/1.flac", "sub-events/1/takes/1"]
)
async def test_clip_with_one_wrong_bit_is_a_problem_and_not_heard(client, studio, finished, path):
    for clip in _files(studio, "flac"):
        _flip(clip, 40_000)

    problem = assert_problem(await client.get(f"/v1/stories/{finished}/{path}"), 503)

    assert "audiostory resume ID" in problem["remedy"]
    assert list(studio.store.exports.glob("*")) == []


async def test_flac_of_the_mix_is_kept_only_as_it_was_made(client, studio, finished, exported):
    path = f"/v1/stories/{finished}/mix.flac"
    (await client.get(path)).raise_for_status()
    [kept] = studio.store.exports.iterdir()
    assert kept.read_bytes() == exported["flac"]

    _flip(kept, 50_000)
    assert (await client.get(path)).content == exported["flac"]

    [kept] = studio.store.exports.iterdir()
    written = kept.stat().st_mtime_ns
    assert (await client.get(path)).content == exported["flac"]
    assert kept.stat().st_mtime_ns == written


async def test_flac_of_what_was_damaged_while_it_was_read_is_not_kept(
    client, studio, finished, exported, monkeypatch
):
    seam = _files(studio, "au")[0]

    def export_and_harm(mix, destination):
        export(mix, destination)
        _flip(seam, 5_000)

    path = f"/v1/stories/{finished}/mix.flac"
    with monkeypatch.context() as patched:
        patched.setattr(export_routes, "export", export_and_harm)
        assert_problem(await client.get(path), 503)
    assert list(studio.store.exports.iterdir()) == []

    assert (await client.get(path)).content == exported["flac"]


async def test_flac_that_an_earlier_version_kept_is_not_trusted(client, studio, finished, exported):
    path = f"/v1/stories/{finished}/mix.flac"
    (await client.get(path)).raise_for_status()
    [kept] = studio.store.exports.iterdir()
    named = kept.name.partition("-")[0]
    kept.rename(kept.with_name(f"{named}.flac")).write_bytes(b"made from a damaged seam")

    assert (await client.get(path)).content == exported["flac"]
