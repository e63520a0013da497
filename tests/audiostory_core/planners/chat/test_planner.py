import json
import time
from concurrent.futures import ThreadPoolExecutor

import jsonschema_rs
import pytest

from audiostory_core.errors import BadInput, LanguageModelAway
from audiostory_core.planners.protocol import Brief
from audiostory_core.story.plan import SoundKind, SoundLayer, SpeechLayer, SubEvent
from tests.support.chat_clients import layer, plan_text, planner_of, scene
from tests.support.chat_server import Reply, hosting, schema_of

INSTRUCTION = 'Rain on a roof, then a dog barks and Anna says "Come in."'
RAIN = scene("Rain drums on a tin roof.", 6.0, layer("ambience", "rain on a tin roof"))
DOG = scene(
    "A dog barks, and Anna speaks.",
    4.0,
    layer("sfx", "a dog barks"),
    layer("speech", "Come in.", "Anna", "softly"),
    tone="Warm",
)
GOOD = plan_text(RAIN, DOG, cast=[{"name": "Anna", "description": "a tired woman"}])
EVENT = SubEvent(
    caption="A dog barks twice",
    duration_s=5.0,
    tone="calm",
    layers=(SoundLayer(kind=SoundKind.SFX, text="a dog barks"),),
    continues=True,
)


def plan_of(text, brief=None, **options):
    with hosting(Reply(text)) as host, planner_of(host, **options) as planner:
        return planner.plan(brief or Brief(INSTRUCTION, 10.0))


def told_of(host, at=-1):
    return "\n".join(message["content"] for message in host.asked[at]["messages"])


def test_answer_becomes_a_plan_with_layers_cast_and_reasoning():
    plan = plan_of(GOOD)

    assert [event.caption for event in plan.sub_events] == [RAIN["caption"], DOG["caption"]]
    assert [event.duration_s for event in plan.sub_events] == [6.0, 4.0]
    assert plan.sub_events[0].layers == (
        SoundLayer(kind=SoundKind.AMBIENCE, text="rain on a tin roof"),
    )
    assert plan.sub_events[1].layers[1] == SpeechLayer(
        words="Come in.", speaker="Anna", manner="softly"
    )
    assert plan.sub_events[1].tone == "warm"
    assert [(one.name, one.description) for one in plan.cast] == [("Anna", "a tired woman")]
    assert plan.reasoning == "It begins and ends."
    assert plan.notes == ()


def test_answer_that_keeps_to_the_schema_is_what_the_model_is_asked_for():
    with hosting(Reply(GOOD)) as host, planner_of(host) as planner:
        planner.plan(Brief(INSTRUCTION, 10.0))

    schema = schema_of(host.asked[0])
    assert jsonschema_rs.is_valid(schema, json.loads(GOOD))
    assert schema["properties"]["sub_events"]["maxItems"] == 5
    assert not jsonschema_rs.is_valid(schema, json.loads(plan_text(*[RAIN] * 6)))


def test_every_text_list_and_number_of_the_schemas_has_an_end():
    """A model that knows no JSON would not end a text; what xgrammar refuses for it is a cost."""
    with hosting(Reply(GOOD), Reply(json.dumps(DOG))) as host, planner_of(host) as planner:
        planner.plan(Brief(INSTRUCTION, 10.0))
        planner.revise(EVENT, "warmer", "en")

    parts = [schema_of(body) for body in host.asked]
    while parts:
        part = parts.pop()
        parts += [*part.get("properties", {}).values(), *filter(None, [part.get("items")])]
        parts += part.get("anyOf", [])
        kinds = (
            {"object", "null"}
            if "anyOf" in part
            else {part["type"]}
            if isinstance(part["type"], str)
            else set(part["type"])
        )
        bound = {
            "string": "maxLength",
            "array": "maxItems",
            "number": "maximum",
            "integer": "maximum",
        }
        ends = {bound[kind] for kind in kinds - {"object", "null"}}
        assert "enum" in part or ends <= part.keys()


def test_text_that_is_too_long_is_sent_back():
    long = plan_text(RAIN | {"caption": "rain " * 200})
    with hosting(Reply(long), Reply(GOOD)) as host, planner_of(host) as planner:
        planner.plan(Brief(INSTRUCTION, 10.0))

    assert "has 999 characters in sub_events.0.caption; the most is 600" in json.dumps(
        host.asked[1]
    )


def test_text_that_is_too_long_twice_is_refused():
    long = plan_text(RAIN | {"caption": "rain " * 200})
    with (
        hosting(Reply(long), Reply(long)) as host,
        planner_of(host) as planner,
        pytest.raises(BadInput, match="the most is 600"),
    ):
        planner.plan(Brief(INSTRUCTION, 10.0))


def test_brief_is_told_to_the_model():
    brief = Brief(INSTRUCTION, 40.0, "de", longest_clip_s=26.95, remarks=("No dog", "Longer rain"))

    with hosting(Reply(GOOD)) as host, planner_of(host) as planner:
        plan = planner.plan(brief)

    told = told_of(host)
    assert INSTRUCTION in told
    assert "Total: 40 seconds. Language: de. One clip holds 26.95 seconds" in told
    assert told.index("- No dog") < told.index("- Longer rain")
    assert plan.language == "de"


def test_total_and_language_are_read_from_the_text():
    text = "Es regnet auf das Dach und dann bellt der Hund. Die Gesamtdauer ist 24 Sekunden."

    plan = plan_of(GOOD, Brief(text))

    assert (plan.duration_s, plan.language) == (24.0, "de")


def test_language_that_nobody_knows_is_the_one_that_the_model_names():
    brief = Brief("Xyzzy plugh frotz.", 10.0)

    assert plan_of(plan_text(RAIN, language="pt-BR"), brief).language == "pt-BR"
    assert plan_of(plan_text(RAIN, language="no language"), brief).language == "und"


def test_durations_are_scaled_to_the_total_and_long_scenes_split():
    plan = plan_of(plan_text(RAIN, DOG), Brief(INSTRUCTION, 100.0, longest_clip_s=30.0))

    assert [event.duration_s for event in plan.sub_events] == [30.0, 30.0, 20.0, 20.0]
    assert plan.samples == sum(event.samples for event in plan.sub_events)
    assert [event.continues for event in plan.sub_events] == [False, True, False, True]
    assert plan.notes == ("the model's durations were scaled by 10.00",)


def test_answer_that_cannot_be_used_is_sent_back_once_with_the_reason():
    with hosting(Reply("I would love to!"), Reply(GOOD)) as host, planner_of(host) as planner:
        plan = planner.plan(Brief(INSTRUCTION, 10.0))

    assert len(plan.sub_events) == 2
    roles = [message["role"] for message in host.asked[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert host.asked[1]["messages"][2]["content"] == "I would love to!"
    assert "it has no JSON object with sub_events" in told_of(host)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply('{"sub_events": []}'), "is wrong in sub_events: List should have at least 1 item"),
        (Reply('{"sub_events": [{"caption": 5}]}'), "is wrong in sub_events.0.caption"),
        (Reply('{"sub_events": [{"caption": ""}]}'), "tells nothing that can be heard"),
        (Reply(GOOD[:80], finish="length"), "was cut off after 80 characters"),
        (Reply("  "), "is empty"),
    ],
)
def test_answer_of_no_use_twice_is_one_error_with_the_reason(reply, reason):
    with (
        hosting(reply) as host,
        planner_of(host) as planner,
        pytest.raises(BadInput) as caught,
    ):
        planner.plan(Brief(INSTRUCTION, 10.0))

    assert len(host.asked) == 2
    assert caught.value.field == "instruction"
    assert reason in caught.value.problem
    assert reason in told_of(host)


def test_refusal_is_an_error_at_once():
    with (
        hosting(Reply(refusal="I will not.")) as host,
        planner_of(host) as planner,
        pytest.raises(BadInput, match=r"its answer is a refusal: I will not\."),
    ):
        planner.plan(Brief(INSTRUCTION, 10.0))

    assert len(host.asked) == 1


def test_server_that_fails_is_away_and_not_bad_input():
    with (
        hosting(Reply(status=500)) as host,
        planner_of(host) as planner,
        pytest.raises(LanguageModelAway),
    ):
        planner.plan(Brief(INSTRUCTION, 10.0))


@pytest.mark.parametrize(
    "brief", [Brief(" "), Brief("rain\x00"), Brief("rain", 0.5), Brief("\ud800")]
)
def test_brief_that_cannot_be_planned_is_refused_before_the_model_is_asked(brief):
    with hosting(Reply(GOOD)) as host, planner_of(host) as planner, pytest.raises(BadInput):
        planner.plan(brief)

    assert host.asked == []


def test_plan_in_prose_of_a_model_without_formats_is_found():
    text = f"<think>A roof {{tin}}…</think>Here is the plan:\n```json\n{GOOD}\n```\nEnjoy!"

    with hosting(Reply(text)) as host, planner_of(host) as planner:
        host.refuses = {"response_format"}
        plan = planner.plan(Brief(INSTRUCTION, 10.0))

    assert len(plan.sub_events) == 2
    assert host.formats == ["json_schema", "json_object", "text"]


@pytest.mark.parametrize(("pieces", "frame"), [(1, None), (3, 7), (50, 1), (1000, None)])
def test_scenes_are_told_while_the_model_writes(pieces, frame):
    seen = []
    brief = Brief(
        INSTRUCTION, 30.0, on_sub_event=lambda number, event: seen.append((number, event))
    )

    with hosting(Reply(GOOD, pieces=pieces, frame=frame)) as host, planner_of(host) as planner:
        plan = planner.plan(brief)

    assert [number for number, _ in seen] == [1, 2]
    assert [event.caption for _, event in seen] == [one.caption for one in plan.sub_events]
    assert [event.duration_s for _, event in seen] == [6.0, 4.0]


def test_scene_is_told_before_the_answer_ends():
    told_at = []
    brief = Brief(
        INSTRUCTION, 10.0, on_sub_event=lambda number, event: told_at.append(time.monotonic())
    )

    with hosting(Reply(GOOD, pieces=60, pause_s=0.03)) as host, planner_of(host) as planner:
        planner.plan(brief)
        ended = time.monotonic()

    assert ended - told_at[0] > 0.06


def test_scenes_told_of_a_broken_answer_are_told_again():
    seen = []
    brief = Brief(INSTRUCTION, 10.0, on_sub_event=lambda number, event: seen.append(number))
    broken = Reply(GOOD, pieces=len(GOOD) - 2, breaks_after=3)

    with hosting(broken, Reply(GOOD)) as host, planner_of(host) as planner:
        planner.plan(brief)

    assert seen == [1, 2, 1, 2]


def test_plans_are_made_side_by_side():
    with (
        hosting(Reply(GOOD, pause_s=0.01)) as host,
        planner_of(host) as planner,
        ThreadPoolExecutor(8) as pool,
    ):
        briefs = [Brief(INSTRUCTION, 10.0 + n) for n in range(8)]
        plans = list(pool.map(planner.plan, briefs))

    assert [plan.duration_s for plan in plans] == [10.0 + n for n in range(8)]


def revised(answer, change="The dog is far away", event=EVENT):
    with hosting(Reply(json.dumps(answer))) as host, planner_of(host) as planner:
        return planner.revise(event, change, "en"), told_of(host)


def test_change_of_a_scene_is_made_by_the_model_and_keeps_the_rest():
    changed, told = revised(scene("A dog barks far away", 5.0, layer("sfx", "a distant dog")))

    assert changed == EVENT.model_copy(
        update={
            "caption": "A dog barks far away",
            "layers": (SoundLayer(kind=SoundKind.SFX, text="a distant dog"),),
        }
    )
    assert "The author wants: The dog is far away" in told
    assert '"caption": "A dog barks twice"' in told


@pytest.mark.parametrize(
    ("change", "meant_s", "duration_s"),
    [
        ("make it 8 seconds long", 8.0, 8.0),
        ("make it 8 seconds long", 7.6, 8.0),
        ("3 seconds longer", 8.0, 8.0),
        ("longer", 7.0, 6.25),
        ("half as long", 2.5, 2.5),
        ("thunder after 3 seconds", 5.0, 5.0),
        ("the dog is far away", 9.0, 5.0),
        ("the dog is far away", None, 5.0),
    ],
)
def test_length_changes_only_if_the_words_ask_and_the_model_takes_them_so(
    change, meant_s, duration_s
):
    answer = scene("Another scene") | {"duration_s": meant_s}

    changed, _ = revised(answer, change)

    assert changed.duration_s == duration_s


def test_layers_that_the_model_does_not_tell_stay():
    changed, _ = revised({"caption": "A dog barks far away"})

    assert changed == EVENT.model_copy(update={"caption": "A dog barks far away"})


def test_change_that_changes_nothing_is_refused():
    same = scene(EVENT.caption, 5.0, layer("sfx", "a dog barks"))

    with pytest.raises(BadInput, match="made the model change nothing"):
        revised(same)


@pytest.mark.parametrize("change", ["", "  ", "\x00"])
def test_empty_change_is_refused(change):
    with pytest.raises(BadInput, match="is empty"):
        revised(scene("A dog"), change)


def test_change_that_the_model_cannot_make_is_one_error():
    with pytest.raises(BadInput) as caught:
        revised({"caption": ""})

    assert caught.value.field == "change"
    assert "tells nothing that can be heard" in caught.value.problem
