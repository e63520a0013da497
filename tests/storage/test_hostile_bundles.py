"""Bundles changed at random: each is refused in one line, or restored and shown without a fault."""

import hashlib
import json
import random
import struct
import zipfile

import pytest

from api.backups.bundles import AUDIO, ROWS, back_up
from api.backups.restoration import restore
from api.exports.service import open_mix
from api.revisions import tables
from api.revisions.queries import view_revisions, view_takes
from api.stories.queries import detail_story, list_seams
from api.terminal import console
from audiostory_core.errors import BadInput
from storage import stories
from tests.storage.test_bundles import rewritten, with_rows
from tests.support.finished_stories import shelve
from tests.support.studio import Studio

ROUNDS, SEEDS = 60, range(4)
DEEP = "[" * 100_000 + "]" * 100_000
MANY_DIGITS = "9" * 5_000
VALUES = [
    None, True, "", "x", "\x1b[2J\u202e", "\ud800", [], {}, [[]], [{}], {"x": 1}, [None], 0, -1, 1.5, 1e308,
    -1e308, 2**31, 2**63 - 1, 2**63, 2**64, 2**70, 10**400,
]  # fmt: skip


@pytest.fixture
async def bundle(studio, tmp_path):
    story = await shelve(studio.store, "rain", "thunder")
    path = tmp_path / "story.audiostory"
    await back_up(studio.store, story.id, path)
    return path


@pytest.fixture
async def elsewhere(tmp_path, migrated):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/studio.db").write_bytes(migrated.read_bytes())
    studio = await Studio.make(tmp_path / "elsewhere")
    yield studio.store
    await studio.store.database.close()


async def is_restored(store, bundle) -> bool:
    """Restore a bundle and look at all of it, unless it is refused."""
    try:
        restored = await restore(store, bundle)
    except BadInput:
        return False
    async with store.database.read() as session:
        detail, scenes = await detail_story(session, restored.story_id)
        _, _, revision = await stories.load(session, restored.story_id)
        console.show_story(detail)
        console.show_scenes(scenes)
        console.show_list([detail])
        console.show_degradations(detail.degradations)
        console.print_json([scene.model_dump(mode="json") for scene in scenes])
        tables.show_history(await view_revisions(session, restored.story_id, 50))
        for scene in scenes:
            _, takes = await view_takes(session, restored.story_id, scene.index)
            tables.show_takes(takes)
            console.print_json([take.model_dump(mode="json") for take in takes])
        if detail.mastering is not None:
            (await open_mix(session, store.audio, restored.story_id)).close()
        console.show_seams(await list_seams(session, revision.id) if revision else [])
    return True


def _mutate(rng, value):
    """Change one place in a tree of JSON, or take it out."""
    places = list(_places(value))
    holder, key = rng.choice(places)
    if isinstance(holder, dict) and rng.random() < 0.25:
        del holder[key]
    else:
        holder[key] = rng.choice(VALUES)


def _places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _mutated(rng, text):
    """Return the rows with one of them changed, requests of clips from within as often as not."""
    lines = [json.loads(line) for line in text.decode().removesuffix("\n").split("\n")]
    row = rng.choice(lines)["row"]
    if "request" in row and rng.random() < 0.7:
        request = json.loads(row["request"])
        _mutate(rng, request)
        row["request"], old = json.dumps(request), row["key"]
        row["key"] = hashlib.sha256(row["request"].encode()).hexdigest()
        told = json.dumps([line for line in lines if line["row"] is not row])
        others = json.loads(told.replace(old, row["key"]))
        lines = [line for line in lines if line["row"] is row] + others
    else:
        _mutate(rng, row)
    return "\n".join(json.dumps(line) for line in lines).encode()


@pytest.mark.parametrize("seed", SEEDS)
async def test_bundle_with_a_changed_row_is_refused_or_can_be_shown(
    elsewhere, bundle, tmp_path, seed, capsys
):
    rng = random.Random(seed)
    whole = bundle.read_bytes()
    restored = 0
    for _ in range(ROUNDS):
        bundle.write_bytes(whole)
        changed = rewritten(bundle, members={ROWS: lambda text: _mutated(rng, text)})
        restored += await is_restored(elsewhere, changed)

    assert 0 < restored < ROUNDS


@pytest.mark.parametrize(
    "text", [DEEP, MANY_DIGITS, f'{{"a": {MANY_DIGITS}}}', "NaN", "null", "", "{", "\ufeff{}"]
)
@pytest.mark.parametrize("member", ["rows.jsonl", "manifest.json"])
async def test_text_of_a_bundle_that_no_parser_likes_is_refused(elsewhere, bundle, member, text):
    if member == "rows.jsonl":
        rewritten(bundle, members={ROWS: lambda _: text.encode()})
    else:
        rewritten(bundle)
        _replace(bundle, member, text.encode())

    assert not await is_restored(elsewhere, bundle)


def _replace(bundle, member, content):
    with zipfile.ZipFile(bundle) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, old in members.items():
            archive.writestr(name, content if name == member else old)


@pytest.mark.parametrize(
    "header",
    [
        "[]", "1", "null", '"x"', "NaN", DEEP, MANY_DIGITS, "{}x", '{"a": 1}', '{"a": []}', '{"a": {}}',
        '{"a": {"dtype": "F32", "shape": [], "data_offsets": 4}}',
        '{"a": {"dtype": "F32", "shape": [], "data_offsets": [0]}}',
        '{"a": {"dtype": "F32", "shape": [], "data_offsets": [0, null]}}',
        '{"a": {"dtype": "F32", "shape": [], "data_offsets": [0, "4"]}}',
        '{"a": {"dtype": "F32", "shape": [], "data_offsets": [0, 36893488147419103232]}}',
        '{"a": {"dtype": "F32", "shape": [], "data_offsets": [0, -1]}}',
        '{"__metadata__": 1}',
    ],
)  # fmt: skip
async def test_tensors_with_a_header_that_is_none_are_refused(elsewhere, bundle, header):
    text = header.encode()
    content = struct.pack("<Q", len(text)) + text + b"\0\0\0\0"
    name = f"{AUDIO}{hashlib.sha256(content).hexdigest()}.safetensors"
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr(name, content)
    rewritten(bundle)

    with pytest.raises(BadInput, match="bundle"):
        await restore(elsewhere, bundle)


async def test_mix_without_its_loudness_is_refused(elsewhere, bundle):
    def change(table, row):
        if table == "mix":
            del row["mastering"]["loudness_lufs"]

    with pytest.raises(BadInput, match="loudness_lufs"):
        await restore(elsewhere, with_rows(bundle, change))
