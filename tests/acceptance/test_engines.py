"""An engine that is added, as a folder or as a package, is known everywhere and makes a story."""

import json

import numpy as np
import pytest
import soundfile

from api.engines import catalog
from tests.support.cards import TOY, VARIABLE, install_plugin, write_card


@pytest.fixture
def forgetful():
    """Have this process read the cards anew, before and after."""
    catalog._find.cache_clear()
    yield
    catalog._find.cache_clear()


@pytest.fixture(params=["folder", "package"])
def toy(request, tmp_path, monkeypatch, forgetful):
    """Add the toy engine to this process and to those it starts."""
    if request.param == "folder":
        monkeypatch.setenv(VARIABLE, str(TOY))
        return "AUDIOSTORY_ENGINES"
    install_plugin(tmp_path / "site", "toy", package="toy_engine", engine=TOY)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.delenv(VARIABLE, raising=False)
    return "the package toy-plugin 1.0"


def test_engine_that_is_added_is_known_everywhere(toy, audiostory_here):
    helped = audiostory_here("create", "--help").stdout
    listed = audiostory_here.json("engines", "list")
    shown = audiostory_here("engines", "show", "toy").stdout
    findings = {each["what"]: each for each in audiostory_here.json("doctor")}

    assert "foley, audiostory, toy" in " ".join(helped.split())
    assert "--pitch-hz" in helped
    assert "one of sine, square, default sine" in " ".join(helped.split())
    (view,) = [view for view in listed["engines"] if view["name"] == "toy"]
    assert view["is_usable"]
    assert view["origin"] == toy
    assert view["parameters"]["pitch_hz"]["maximum"] == 2000
    assert "--set pitch_hz" in shown
    assert findings["engine toy"]["is_usable"]
    assert not findings["engine toy"]["is_needed"]


def test_engine_that_is_added_makes_a_story(toy, audiostory, tmp_path):
    story = audiostory.json(
        *("create", "Rain; three knocks", "-d", 6, "--seed", 1, "-o", tmp_path / "toy.wav"),
        *("--engine", "toy", "--pitch-hz", 440, "--set", "shape=square"),
    )

    assert [scene["matched"] for scene in story["scenes"]] == [
        ["tone: Rain"],
        ["tone: three knocks"],
    ]
    takes = audiostory.json("takes", story["id"], 1)
    parameters = takes[0]["recipe"]["parameters"]
    assert parameters.items() >= {"pitch_hz": 440.0, "shape": "square"}.items()
    samples, rate = soundfile.read(tmp_path / "toy.wav")
    assert samples.shape == (6 * rate, 2)
    assert np.ptp(np.abs(samples[:rate, 0])) < 0.02  # of a square all samples are as loud


def test_shapes_that_the_engine_does_not_honor_are_heard_or_noted(toy, audiostory, tmp_path):
    rain = {"kind": "ambience", "text": "rain"}
    shaped = rain | {"gain_db": -9, "start_s": 1.5}
    counted = {"kind": "sfx", "text": "a knock", "count": 3}
    plan = tmp_path / "plan.json"
    scenes = [
        {"caption": "a tone", "duration_s": 3, "layers": [layer]}
        for layer in (shaped, rain, counted)
    ]
    written = {"version": 2, "instruction": "tones", "language": "en", "sub_events": scenes}
    plan.write_text(json.dumps(written))
    stems = tmp_path / "stems"

    story = audiostory.json(
        *("create", "--plan", plan, "--effects", "toy", "--stems", stems, "--seed", 1)
    )

    samples, rate = soundfile.read(stems / "effects.wav")
    start = round(1.5 * rate)
    levels = [np.abs(part).max() for part in (samples[start : 3 * rate], samples[4 * rate :])]
    assert not samples[:start].any()
    assert np.abs(samples[start : start + rate // 50]).max() == pytest.approx(levels[0])
    assert 20 * np.log10(levels[0] / levels[1]) == pytest.approx(-9, abs=0.01)
    note = "Scene 3: toy does not honor count; not applied to “a knock” (layer 1)."
    assert story["notes"] == [note]
    assert note in " ".join(audiostory("show", story["id"]).stdout.split())
    (take,) = audiostory.json("takes", story["id"], 1)
    assert take["recipe"]["shape"] == {"gain_db": -9.0, "start_s": 1.5}


def test_story_is_revised_only_where_its_engine_is_known(
    audiostory, tmp_path, monkeypatch, forgetful
):
    monkeypatch.setenv(VARIABLE, str(TOY))
    output = tmp_path / "toy.wav"
    story = audiostory.json("create", "Rain", "-d", 3, "--engine", "toy", "-o", output)
    monkeypatch.delenv(VARIABLE)

    revised = audiostory("revise", story["id"], 1, "--caption", "sea")

    assert revised.returncode == 2
    assert "engine 'toy': is not known" in revised.stderr
    assert audiostory("show", story["id"]).returncode == 0


def test_broken_plugin_is_explained_and_the_rest_works(
    audiostory_here, tmp_path, monkeypatch, forgetful
):
    folder = install_plugin(tmp_path, "bellows", package="bellows_engine")
    (folder / "card.toml").write_text("name = 'bellows'\n")
    monkeypatch.syspath_prepend(tmp_path)

    listed = audiostory_here("engines", "list")
    findings = {each["what"]: each for each in audiostory_here.json("doctor")}
    refused = audiostory_here("create", "Rain", "--engine", "bellows")

    assert listed.returncode == 0
    assert "foley" in listed.stdout
    assert "bellows_engine/card.toml" in listed.stderr.replace("\n", "")
    assert "is missing" in findings["engine bellows"]["detail"]
    assert not findings["engine bellows"]["is_usable"]
    assert findings["engine foley"]["is_usable"]
    assert refused.returncode == 2
    assert "card.toml" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_engine_that_is_not_installed_is_refused_with_the_remedy(
    audiostory_here, tmp_path, monkeypatch
):
    more = "[environment]\nrequirements = ['loudly==1.0']"
    monkeypatch.setenv(VARIABLE, str(write_card(tmp_path / "loud", more, revision="1")))

    refused = audiostory_here("create", "Rain", "--engine", "loud")
    (view,) = [
        view
        for view in audiostory_here.json("engines", "list")["engines"]
        if view["name"] == "loud"
    ]

    assert refused.returncode == 2
    assert "engine 'loud': is not installed. Run: audiostory engines install loud" in refused.stderr
    assert view["reason"] == "is not installed. Run: audiostory engines install loud"
    assert view["environment"] == "not installed"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--pitch-hz", "5"], "pitch_hz '5': Input should be greater than or equal to 20"),
        (
            ["--set", "shape=round"],
            "shape 'round': is none of the choices. Give one of sine, square.",
        ),
        (["--set", "shape"], "set 'shape': is not NAME=VALUE"),
        (["--shape", "sine", "--set", "shape=sine"], "set 'shape=sine': sets it twice"),
        (["--steps", "20"], "steps '20': means nothing to the engine toy"),
        (["--language", "de"], "language 'de': is no language of the engine toy"),
    ],
)
def test_what_the_engine_does_not_take_is_bad_input(audiostory_here, monkeypatch, options, words):
    monkeypatch.setenv(VARIABLE, str(TOY))

    refused = audiostory_here("create", "Rain", "--engine", "toy", *options)

    assert refused.returncode == 2
    assert words in refused.stderr
    assert not audiostory_here.home.exists()


@pytest.mark.parametrize("name", ["foley", "toy", "kazoo", "../home"])
def test_what_has_no_environment_is_not_installed_or_removed(audiostory_here, monkeypatch, name):
    monkeypatch.setenv(VARIABLE, str(TOY))

    for command in ("install", "remove"):
        refused = audiostory_here("engines", command, name)

        assert refused.returncode == 2
        assert refused.stderr.startswith(f"audiostory: engine '{name}'")
