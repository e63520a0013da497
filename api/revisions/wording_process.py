"""The process that reads an author's words for the HTTP process; see wording.py."""

import sys
from collections.abc import Callable, Sequence

from api.revisions.wording import ANSWER, LENGTH_BYTES, Question, Refusal, framed
from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.remarks import edits_of_remark
from audiostory_core.story.editing import Draft
from audiostory_core.story.edits import Edit
from audiostory_core.story.plan import StoryPlan
from audiostory_core.story.resolving import resolve

Read = Callable[[int], bytes]


def look_ahead(planner: Clauses, question: Question) -> list[Draft]:
    """Return the edited sub-events.

    Raises:
        BadInput: if the planner refuses them.
    """

    def read(plan: StoryPlan, at: int, change: str) -> Sequence[Edit]:
        return planner.edits(plan, change, at)

    edits = question.edits
    if question.remark is not None:
        edits = edits_of_remark(planner, question.plan, question.remark, is_kept=question.is_kept)
    assert edits is not None
    return resolve(question.plan, edits, read, question.limits)


def main() -> None:
    """Answer questions until standard input ends."""
    planner = Clauses()
    read = sys.stdin.buffer.read
    while head := read(LENGTH_BYTES):
        question = Question.model_validate_json(read(int.from_bytes(head)))
        answer: list[Draft] | Refusal
        try:
            answer = look_ahead(planner, question)
        except BadInput as error:
            answer = Refusal(
                field=error.field, value=error.value, problem=error.problem, remedy=error.remedy
            )
        sys.stdout.buffer.write(framed(ANSWER.dump_json(answer)))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
