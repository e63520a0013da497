"""A chat model as a planner: it writes the scenes, the studio keeps the time and the rules.

Nothing that it answers is trusted. What can be repaired is, and each repair is a note of the plan;
what cannot be used is sent back once, with the reason.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from importlib.resources import files
from string import Template
from typing import Any, TypeVar

from pydantic import ValidationError

from audiostory_core.errors import BadInput
from audiostory_core.llm.answers import ask_twice, parse
from audiostory_core.llm.client import ChatClient, Message, Question
from audiostory_core.llm.json_reader import ItemReader
from audiostory_core.llm.stream import Unusable
from audiostory_core.planners.chat.answer import (
    LONGEST_REASONING,
    AnsweredPlan,
    AnsweredScene,
    clean,
    layers_as_data,
    with_spans,
)
from audiostory_core.planners.chat.editing import edits_schema, read_answer, scenes_as_data
from audiostory_core.planners.clauses.language import Languages
from audiostory_core.planners.clauses.length import LengthReader
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief, OnSubEvent
from audiostory_core.planners.timing import share_time
from audiostory_core.story.edits import Edit
from audiostory_core.story.plan import (
    LONGEST_STORY_S,
    SHORTEST_SUB_EVENT_S,
    VERSION,
    StoryPlan,
    SubEvent,
)
from audiostory_core.text.detection import UNKNOWN

MAX_SUB_EVENTS = 64  # in one answer
SHORTEST_SCENE_S = 2.0  # of a scene: the total allows so many at most

_Answered = TypeVar("_Answered", AnsweredPlan, AnsweredScene)
_LANGUAGE = r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*"


class Chat:
    """Plans a story by asking a chat model; implements `Planner` and `ReadsRemarks`.

    How long the story is and in which language, if the author does not say, is read from the text
    by the planner `clauses`.

    Args:
        client: of the server that has the model.
    """

    name = "chat"

    def __init__(self, client: ChatClient) -> None:
        self._client = client
        self._clauses = Clauses()
        self._lengths = LengthReader(Languages.load().entries)

    def plan(self, brief: Brief) -> StoryPlan:
        """Return the sub-events that the model wrote, in exactly the requested time.

        While it writes, `brief.on_sub_event` gets every sub-event, as it is before times are
        shared; a number that comes again replaces the earlier sub-event.

        Raises:
            BadInput: if the instruction or the duration cannot be planned, the model refuses, or
                cannot make a plan; naming the setting, if it is one that is wrong.
            LanguageModelAway: if the server does not answer.
        """
        read = self._clauses.plan(brief)
        most = max(1, min(MAX_SUB_EVENTS, math.floor(read.duration_s / SHORTEST_SCENE_S)))
        schema = _schema("plan")
        schema["properties"]["sub_events"]["maxItems"] = most
        prompt = _prompt(
            "brief",
            total=f"{read.duration_s:g}",
            language="that of the instruction" if read.language == UNKNOWN else read.language,
            longest=f"{brief.longest_clip_s:g}",
            most=most,
            instruction=brief.instruction,
        )
        if brief.remarks:
            prompt += _prompt(
                "remarks", remarks="\n".join(f"- {clean(remark)}" for remark in brief.remarks)
            )
        question = Question(
            _messages(_prompt("plan"), prompt), schema, "plan", _watch(brief.on_sub_event)
        )
        answer = self._ask(question, AnsweredPlan, "instruction", brief.instruction)
        scenes, lost = answer.draft()
        sub_events, changes = share_time(scenes, read.samples, brief.longest_clip_s)
        return StoryPlan(
            version=VERSION,
            instruction=brief.instruction,
            language=_language(read.language, answer.language),
            duration_s=read.duration_s,
            reasoning=answer.reasoning[:LONGEST_REASONING],
            sub_events=tuple(sub_events),
            cast=answer.voices(sub_events),
            notes=(*lost, *changes),
        )

    def revise(self, event: SubEvent, change: str, language: str) -> SubEvent:
        """Return the sub-event, changed as the author's plain words ask.

        The duration is another one only if the words ask for it and the model takes them so; how
        long exactly is read from the words.

        Raises:
            BadInput: if the words are empty, nothing changes, the model refuses, or cannot do it;
                naming the setting, if it is one that is wrong.
            LanguageModelAway: if the server does not answer.
        """
        request = clean(change)
        if not request:
            raise BadInput("change", change, "is empty", "Say what should be heard instead.")
        scene = {
            "caption": event.caption,
            "duration_s": round(event.duration_s, 3),
            "tone": event.tone,
            "layers": layers_as_data(event.layers),
        }
        prompt = _prompt("change", scene=json.dumps(scene, ensure_ascii=False), change=request)
        question = Question(
            _messages(_prompt("revise", language=language), prompt), _schema("scene"), "scene"
        )
        answer = self._ask(question, AnsweredScene, "change", change)
        revised, _ = answer.draft()
        assert revised is not None  # judged in _ask
        made = event.model_copy(
            update={
                "caption": revised.caption,
                "tone": revised.tone if answer.tone else event.tone,
                "layers": with_spans(revised.layers, event.layers)
                if "layers" in answer.model_fields_set
                else event.layers,
                "duration_s": self._lasting(event.duration_s, change, revised.duration_s),
            }
        )
        if made == event:
            remedy = "Say it in other words, or edit the caption itself."
            raise BadInput("change", change, "made the model change nothing", remedy)
        return made

    def edits(self, plan: StoryPlan, remark: str, at: int | None = None) -> tuple[Edit, ...]:
        """Return the edits that a remark asks for; the model's where `clauses` reads none in it.

        Raises:
            BadInput: if the words are empty, the model refuses or knows no edits for them, or
                cannot write them; naming the setting, if it is one that is wrong.
            LanguageModelAway: if the server does not answer.
        """
        try:
            return self._clauses.edits(plan, remark, at)
        except BadInput as error:
            if not clean(remark):
                raise
            refusal = error
        prompt = _prompt(
            "remark",
            scenes=json.dumps(scenes_as_data(plan, at), ensure_ascii=False),
            about="the story" if at is None else f"scene {at + 1} of {len(plan.sub_events)}",
            remark=clean(remark),
        )
        rules = _prompt("edits", language=plan.language)
        question = Question(_messages(rules, prompt), edits_schema(), "edits")
        try:
            edits = ask_twice(self._client, question, lambda text: read_answer(text, plan, at))
        except Unusable as error:
            problem = f"could not be done by the model: its answer {error.problem}"
            raise BadInput(refusal.field, remark, problem, refusal.remedy) from error
        if not edits:
            problem = "is not understood, and the model knows no edits that do it"
            raise BadInput(refusal.field, remark, problem, refusal.remedy)
        return edits

    def _lasting(self, now_s: float, change: str, meant_s: float | None) -> float:
        """Return whichever length the words may ask for is nearest to what the model meant."""
        readings_s = (self._lengths.read(change, now_s), self._lengths.scaled(change, now_s))
        lengths_s = [now_s, *(length_s for length_s in readings_s if length_s is not None)]
        if meant_s is None:
            return now_s
        nearest_s = min(lengths_s, key=lambda length_s: abs(length_s - meant_s))
        return now_s if nearest_s == now_s else self._lengths.checked(nearest_s, change)

    def _ask(self, question: Question, form: type[_Answered], field: str, value: str) -> _Answered:
        """Return an answer that can be used.

        Raises:
            BadInput: for what the author gave, if there is none.
        """

        def read(text: str) -> _Answered:
            answer = parse(text, form, form.NEEDED)
            overlong = answer.overlong()  # not every server heeds the schema's lengths
            if overlong:
                raise Unusable(overlong, text)
            if not answer.draft()[0]:
                raise Unusable("tells nothing that can be heard", text)
            return answer

        try:
            return ask_twice(self._client, question, read)
        except Unusable as error:
            problem = f"could not be told by the model: its answer {error.problem}"
            remedy = "Say it in other words, name another model, or use --planner clauses."
            raise BadInput(field, value, problem, remedy) from error


def _language(read: str, answered: str) -> str:
    return answered if read == UNKNOWN and re.fullmatch(_LANGUAGE, answered) else read


def _watch(on_sub_event: OnSubEvent | None) -> Callable[[str | None], None] | None:
    """Return what reads sub-events from the text as it comes, if anybody wants to know."""
    if on_sub_event is None:
        return None
    reader, number = ItemReader("sub_events"), 0

    def on_text(piece: str | None) -> None:
        nonlocal reader, number
        if piece is None:
            reader, number = ItemReader("sub_events"), 0
            return
        for item in reader.feed(piece):
            number += 1
            draft = _draft(item, number)
            if draft is not None:
                on_sub_event(number, draft)

    return on_text


def _draft(item: dict[str, Any], number: int) -> SubEvent | None:
    try:
        draft, _ = AnsweredScene.model_validate(item).draft(number)
    except ValidationError:
        return None
    if draft is None:
        return None
    meant_s = draft.duration_s or SHORTEST_SUB_EVENT_S
    duration_s = min(max(meant_s, SHORTEST_SUB_EVENT_S), LONGEST_STORY_S)
    return SubEvent(
        caption=draft.caption, duration_s=duration_s, tone=draft.tone, layers=draft.layers
    )


def _messages(rules: str, prompt: str) -> Sequence[Message]:
    return [{"role": "system", "content": rules}, {"role": "user", "content": prompt}]


def _prompt(name: str, **values: object) -> str:
    folder = files("audiostory_core.planners.chat") / "prompts"
    text = (folder / f"{name}.md").read_text(encoding="utf-8")
    return Template(text).substitute(values)


def _schema(name: str) -> dict[str, Any]:
    folder = files("audiostory_core.planners.chat") / "schemas"
    schema: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return schema
