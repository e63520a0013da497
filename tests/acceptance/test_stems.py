"""A story of stems from the command line, with real sound."""

import json

import numpy as np
import pytest
import soundfile

RATE = 44_100
PLAN = {
    "version": 2,
    "instruction": "An evening.",
    "language": "en",
    "mix": {"gain_db": {"music": -6}, "ducking": {"depth_db": 12}},
    "cast": [{"name": "Anna", "description": "a young woman"}],
    "sub_events": [
        {
            "caption": "rain and a line",
            "duration_s": 6,
            "layers": [
                {"kind": "ambience", "text": "rain on a roof"},
                {"kind": "speech", "words": "Is somebody there?", "speaker": "Anna"},
                {"kind": "sfx", "text": "three knocks on a door"},
            ],
        },
        {
            "caption": "a piano",
            "duration_s": 6,
            "stem_gain_db": {"effects": -3},
            "layers": [
                {"kind": "music", "text": "slow piano"},
                {"kind": "speech", "words": "So the evening began.", "speaker": "Anna"},
            ],
        },
    ],
}


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(PLAN))
    return path


def _read(path) -> np.ndarray:
    info = soundfile.info(path)
    assert (info.subtype, info.samplerate, info.channels) == ("FLOAT", RATE, 2)
    return soundfile.read(path, dtype="float32")[0]


def test_stems_are_written_and_their_sum_is_the_mix_before_its_gain(audiostory, plan, tmp_path):
    folder, mix = tmp_path / "stems", tmp_path / "mix.wav"

    made = audiostory.json("create", "--plan", plan, "--seed", 5, "--stems", folder, "-o", mix)

    assert made["engines"] == {"dialogue": "foley", "music": "foley", "effects": "foley"}
    assert [[stem["stem"] for stem in scene["stems"]] for scene in made["scenes"]] == [
        ["dialogue", "effects"],
        ["dialogue", "effects", "music"],
    ]
    files = sorted(path.name for path in folder.iterdir())
    assert files == ["dialogue.wav", "effects.wav", "music.wav"]
    total = sum(_read(folder / name) for name in files)
    heard = soundfile.read(mix, dtype="float32")[0]
    assert total.shape == heard.shape == (12 * RATE, 2)
    gain = 10 ** (made["mastering"]["gain_db"] / 20)
    if not made["mastering"]["limiting"]:
        assert np.abs(total * gain - heard).max() < 1e-6
    quiet = np.abs(total * gain) < 0.1  # where no limiter is near, only the gain is between them
    assert np.corrcoef((total * gain)[quiet], heard[quiet])[0, 1] > 0.999
    again = tmp_path / "again"
    assert audiostory("resume", made["id"], "--stems", again).returncode == 0
    assert (again / "music.wav").read_bytes() == (folder / "music.wav").read_bytes()
    one = tmp_path / "one.wav"
    written = audiostory("export", made["id"], "--stem", "music", "-o", one)
    assert (written.returncode, written.stdout) == (0, f"{one}\n")
    assert one.read_bytes() == (folder / "music.wav").read_bytes()
    assert audiostory("export", made["id"], "-o", one).returncode == 0
    assert one.read_bytes() == mix.read_bytes()
    for arguments, said in (
        (("--stem", "music", "-o", tmp_path / "one.flac"), "Let it end in .wav"),
        (("--stem", "drums", "-o", one), "drums"),
        (("--stem", "composite", "-o", one), "composite"),
        (("-o", tmp_path / "one.mp3"), ".wav or .flac"),
    ):
        refused = audiostory("export", made["id"], *arguments)
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr


def test_takes_of_a_stem_are_made_and_chosen(audiostory, plan):
    made = audiostory.json("create", "--plan", plan, "--seed", 5, "--stems", plan.parent / "stems")

    refused = audiostory("takes", made["id"], 2, "--more", 1)

    assert refused.returncode == 2
    assert "dialogue, effects, music" in refused.stderr
    listed = audiostory.json("takes", made["id"], 2, "--more", 1, "--stem", "music")
    newest = max(listed, key=lambda take: take["take"])
    assert newest["stem"] == "music"
    audiostory.json("choose", made["id"], 2, newest["take"], "--accept")
    stems = {
        s["stem"]: s["clip"] for s in audiostory.json("show", made["id"])["scenes"][1]["stems"]
    }
    before = {s["stem"]: s["clip"] for s in made["scenes"][1]["stems"]}
    assert stems == before | {"music": newest["clip"]}


def test_story_of_stems_is_backed_up_and_restored(audiostory, plan, tmp_path):
    made = audiostory.json("create", "--plan", plan, "--seed", 5, "--effects", "foley")
    first, bundle = tmp_path / "first.wav", tmp_path / "story.audiostory"
    assert audiostory("resume", made["id"], "-o", first).returncode == 0
    assert audiostory("backup", made["id"], "-o", bundle).returncode == 0
    assert audiostory("delete", made["id"], "--yes").returncode == 0

    assert audiostory("restore", bundle).returncode == 0

    second = tmp_path / "second.wav"
    assert audiostory("resume", made["id"], "-o", second).returncode == 0
    assert second.read_bytes() == first.read_bytes()


def test_damaged_stems_are_repaired_to_the_byte(audiostory, plan, tmp_path):
    first, second = tmp_path / "first.wav", tmp_path / "second.wav"
    options = ["--seed", 5, "--effects", "foley", "-o", first]
    made = audiostory.json("create", "--plan", plan, *options)
    folder = tmp_path / "home" / "audio"
    clips, seams = list(folder.rglob("*.flac")), list(folder.rglob("*.au"))
    assert len(clips) == 5  # one for each stem of each scene
    assert seams
    for path in clips + seams:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 255
        path.chmod(0o644)
        path.write_bytes(content)

    assert audiostory("verify").returncode == 1
    audiostory("verify", "--repair")

    assert audiostory("resume", made["id"], "-o", second).returncode == 0
    assert second.read_bytes() == first.read_bytes()
    assert audiostory("verify").returncode == 0


def test_balance_is_set_when_a_story_is_made(audiostory, plan, tmp_path):
    levels = {}
    for gain_db in (-6, -9):  # the first is what the plan says
        folder = tmp_path / f"stems{gain_db}"
        options = ["--gain", f"music={gain_db}"] if gain_db != -6 else []
        made = audiostory.json("create", "--plan", plan, "--seed", 5, "--stems", folder, *options)
        assert made["revision"] == 1
        levels[gain_db] = {name: _read(folder / name) for name in ("music.wav", "effects.wav")}

    quieter = 10 ** (-3 / 20)
    music = [levels[gain_db]["music.wav"] for gain_db in (-6, -9)]
    np.testing.assert_allclose(music[1], music[0] * quieter, atol=1e-6)
    np.testing.assert_array_equal(levels[-6]["effects.wav"], levels[-9]["effects.wav"])


def test_balance_of_an_instruction_is_a_revision_of_its_plan(audiostory, tmp_path):
    options = ["--gain", "music=-3", "--gain", "effects=2.5", "--ducking", 15]
    folder = tmp_path / "stems"

    made = audiostory.json(
        "create", "Rain; a piano plays", "-d", 6, "--seed", 1, "--stems", folder, *options
    )

    assert (made["revision"], made["is_accepted"]) == (2, True)
    history = audiostory("history", made["id"]).stdout
    assert "music -3 dB, effects +2.5" in " ".join(history.split())
    plain = tmp_path / "plain"
    audiostory.json("create", "Rain; a piano plays", "-d", 6, "--seed", 1, "--stems", plain)
    louder = 10 ** (2.5 / 20)
    heard, before = (_read(where / "effects.wav") for where in (folder, plain))
    np.testing.assert_allclose(heard, before * louder, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--gain", "music"], "gain 'music': is not STEM=DB"),
        (["--gain", "music=1", "--gain", "music=2"], "gain 'music=2': sets it twice"),
        (["--gain", "musik=-3"], "gain 'musik': cannot be used"),
        (["--gain", "music=-61"], "gain '-61': cannot be used"),
        (["--gain", "music=loud"], "gain 'loud': cannot be used"),
        (["--gain", "music=nan"], "gain 'nan': cannot be used"),
        (["--ducking", "41"], "ducking 41.0: cannot be used"),
        (["--ducking", "-1"], "ducking -1.0: cannot be used"),
    ],
)
def test_balance_that_cannot_be_is_refused(audiostory_here, tmp_path, options, said):
    stems = ["--stems", tmp_path / "stems"]

    refused = audiostory_here("create", "Rain; a piano plays", "-d", 4, *stems, *options)

    assert refused.returncode == 2
    assert said in refused.stderr
    assert not audiostory_here.home.exists()


@pytest.mark.parametrize("options", [["--gain", "music=-3"], ["--ducking", "6"]])
def test_composite_story_is_not_balanced(audiostory_here, options):
    refused = audiostory_here("create", "Rain; a piano plays", "-d", 4, *options)

    assert refused.returncode == 2
    assert "every scene is one composite clip. Add --stems FOLDER" in refused.stderr
    assert not audiostory_here.home.exists()


def test_show_names_stems_and_their_engines(audiostory, plan):
    made = audiostory.json("create", "--plan", plan, "--seed", 5, "--effects", "foley")

    shown = " ".join(audiostory("show", made["id"]).stdout.split())

    assert "dialogue foley, music foley, effects foley" in shown
    assert "dialogue: speech" in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dialogue", "nobody"], "engines.dialogue 'nobody'"),
        (["--stems", "no/such/folder"], "stems 'no/such/folder'"),
    ],
)
def test_stems_that_cannot_be_made_are_refused(audiostory, plan, options, said):
    refused = audiostory("create", "--plan", plan, *options)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert audiostory.json("list") == []


def test_story_of_stems_whose_scenes_are_composite_writes_that(audiostory, tmp_path):
    plan, folder = tmp_path / "words.json", tmp_path / "stems"
    scenes = [{"caption": words, "duration_s": 2} for words in ("a dog barks", "rain")]
    plan.write_text(json.dumps(PLAN | {"sub_events": scenes}))
    mix = tmp_path / "mix.wav"

    made = audiostory.json("create", "--plan", plan, "--seed", 5, "--stems", folder, "-o", mix)

    assert [path.name for path in folder.iterdir()] == ["composite.wav"]
    assert not made["mastering"]["limiting"]
    gain = 10 ** (made["mastering"]["gain_db"] / 20)
    heard = soundfile.read(mix, dtype="float32")[0]
    assert np.abs(_read(folder / "composite.wav") * gain - heard).max() < 1e-6


def test_refused_story_leaves_no_folder_of_stems(audiostory, plan, tmp_path):
    folder = tmp_path / "stems"

    refused = audiostory("create", "--plan", plan, "--music", "nobody", "--stems", folder)

    assert (refused.returncode, folder.exists()) == (2, False)


def test_stems_of_a_composite_story_are_refused(audiostory, tmp_path):
    made = audiostory.json("create", "A dog barks (2 s)", "--seed", 1)

    refused = audiostory("resume", made["id"], "--stems", tmp_path / "stems")

    assert refused.returncode == 2
    assert "create --stems" in refused.stderr
    assert not (tmp_path / "stems").exists()
