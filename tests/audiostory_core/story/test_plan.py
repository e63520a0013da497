import json

from hypothesis import given
from hypothesis import strategies as st

from audiostory_core.story.plan import (
    SAMPLE_RATE,
    StoryPlan,
    SubEvent,
    samples_of,
    seconds_of,
    short_seconds,
)
from audiostory_core.story.plan_files import plan_document, read_plan

LENGTHS = st.lists(st.integers(SAMPLE_RATE // 2, 30 * SAMPLE_RATE), min_size=2, max_size=40)


@given(LENGTHS)
def test_written_plan_is_read_back_to_the_sample(lengths):
    plan = StoryPlan(
        instruction="Rain",
        language="en",
        duration_s=seconds_of(sum(lengths)),
        sub_events=[SubEvent(caption="rain", duration_s=seconds_of(each)) for each in lengths],
    )

    document = json.loads(json.dumps(plan_document(plan)))
    again = StoryPlan.model_validate(document)

    assert [event.samples for event in again.sub_events] == lengths
    assert again.samples == plan.samples
    written = [event["duration_s"] for event in document["sub_events"]]
    assert all(len(str(duration_s).partition(".")[2]) <= 5 for duration_s in written)


def test_short_seconds_are_as_short_as_they_can_be():
    assert short_seconds(7.647823129251701) == 7.64782
    assert short_seconds(seconds_of(samples_of(35.1))) == 35.1
    assert short_seconds(3.0) == 3.0


def test_plan_without_a_total_has_its_durations_added_up(tmp_path):
    path = tmp_path / "plan.json"
    events = [{"caption": "rain", "duration_s": duration_s} for duration_s in (7.65, 2.5, 3.333)]
    path.write_text(json.dumps({"instruction": "Rain", "language": "en", "sub_events": events}))

    plan = read_plan(path)

    assert [event.samples for event in plan.sub_events] == [337365, 110250, 146985]
    assert plan.samples == 337365 + 110250 + 146985
