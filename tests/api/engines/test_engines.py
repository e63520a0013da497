"""Engines over HTTP: the cards, and what a request may set."""

from io import StringIO

import pytest
from rich.console import Console

from api.engines import tables
from api.engines.queries import list_engines
from api.settings import read_settings
from storage import stories
from tests.support.cards import TOY, engines_in


@pytest.fixture(autouse=True)
def toy():
    with engines_in(TOY):
        yield


async def test_engines_are_listed_with_what_their_cards_say(client):
    listed = (await client.get("/v1/engines")).json()

    by_name = {engine["name"]: engine for engine in listed}
    assert listed[0]["name"] == "foley"
    assert [engine["is_default"] for engine in listed].count(True) == 1
    assert by_name["toy"]["languages"] == ["en"]
    assert by_name["toy"]["environment"] == "built in"
    assert by_name["foley"]["is_usable"]
    assert by_name["foley"]["stems"] == ["dialogue", "music", "effects"]
    network = by_name["audiostory"]
    assert not network["is_usable"]
    assert "needs weights" in network["reason"]
    assert network["weights"]["commercial_use"] is False
    assert network["parameters"]["steps"] == {
        "type": "integer",
        "default": 50,
        "minimum": 1,
        "maximum": 1000,
        "choices": [],
        "help": "Denoising steps per clip",
    }


async def test_engine_is_shown_and_an_unknown_one_is_not_there(client):
    shown = await client.get("/v1/engines/toy")
    missing = await client.get("/v1/engines/kazoo")

    assert shown.json()["title"] == "Toy"
    assert missing.status_code == 404


async def test_document_names_engines_and_their_parameters(client):
    document = (await client.get("/openapi.json")).json()

    properties = document["components"]["schemas"]["StoryCreate"]["properties"]
    assert properties["engine"]["enum"][0] == "foley"
    assert "toy" in properties["engine"]["enum"]
    assert properties["engine"]["default"] == "foley"
    pitch, null = properties["pitch_hz"]["anyOf"]
    assert null == {"type": "null"}
    assert (pitch["minimum"], pitch["maximum"], pitch["default"]) == (20, 2000, 220)
    assert properties["shape"]["anyOf"][0]["enum"] == ["sine", "square"]
    assert properties["steps"]["anyOf"][0]["maximum"] == 1000
    assert "/v1/engines/{name}" in document["paths"]


@pytest.mark.parametrize("values", [{"pitch_hz": 300}, {"parameters": {"pitch_hz": 300}}])
async def test_parameters_stand_beside_the_fields_or_together(client, studio, values):
    made = await client.post(
        "/v1/stories", json={"instruction": "Rain", "engine": "toy", "shape": None} | values
    )

    assert made.status_code == 202
    async with studio.store.database.read() as session:
        story = await stories.get(session, made.json()["id"])
    assert story.parameters == {"pitch_hz": 300.0}


async def test_order_and_place_of_parameters_make_no_other_request(client):
    values = [
        {"parameters": {"shape": "sine", "pitch_hz": 300}},
        {"parameters": {"pitch_hz": 300.0, "shape": "sine"}},
        {"shape": "sine", "pitch_hz": 300},
    ]

    made = [
        await client.post(
            "/v1/stories",
            json={"instruction": "Rain", "engine": "toy", "seed": 1} | each,
            headers={"Idempotency-Key": "rain"},
        )
        for each in values
    ]

    assert [response.status_code for response in made] == [202, 202, 202]
    assert len({response.json()["id"] for response in made}) == 1


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"pitch_hz": 1}, "pitch_hz"),
        ({"parameters": {"pitch_hz": "high"}}, "pitch_hz"),
        ({"parameters": {"volume": 11}}, "volume"),
        ({"parameters": {"shape": "round"}}, "shape"),
        ({"steps": 20}, "steps"),
        ({"pitch_hz": 300, "parameters": {"pitch_hz": 300}}, ""),
        ({"language": "de"}, "language"),
        ({"engine": "audiostory"}, "engine"),
        ({"engine": "foley", "pitch_hz": 300}, "pitch_hz"),
    ],
)
async def test_what_the_engine_does_not_take_is_refused_by_field(client, values, field):
    refused = await client.post(
        "/v1/stories", json={"instruction": "Rain", "engine": "toy"} | values
    )

    assert refused.status_code == 422
    assert field in str(refused.json())
    assert (await client.get("/v1/stories")).json()["total"] == 0


@pytest.mark.parametrize(
    ("longest_s", "shown"), [(29.9537, "29.9 s"), (30.0, "30 s"), (8.25, "8.2 s"), (190.0, "190 s")]
)
def test_longest_clip_is_shown_with_one_decimal_and_never_longer_than_it_is(
    monkeypatch, longest_s, shown
):
    view = list_engines(read_settings())[0].model_copy(update={"longest_clip_s": longest_s})
    output = StringIO()
    monkeypatch.setattr(tables, "out", Console(file=output, width=100))

    tables.show_engines([view], [])
    tables.show_engine(view)

    assert shown in output.getvalue()
    assert f"{shown}, tail included" in output.getvalue()
