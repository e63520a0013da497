"""Asking for JSON that can be used: what cannot is sent back once, with the reason."""

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from string import Template
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from audiostory_core.llm.client import ChatClient, Question
from audiostory_core.llm.json_reader import find_object
from audiostory_core.llm.stream import Unusable

MAX_SENT_BACK = 4000  # characters of an answer that cannot be used

_T = TypeVar("_T")
_Form = TypeVar("_Form", bound=BaseModel)


def ask_twice(client: ChatClient, question: Question, read: Callable[[str], _T]) -> _T:
    """Return what is read from the model's answer, from its second if the first is of no use.

    Args:
        client: of the server that has the model.
        question: what to send.
        read: raises `Unusable` if the text cannot be used.

    Raises:
        BadInput: naming the setting, if the key, the model or the address is wrong.
        LanguageModelAway: if the server does not answer.
        Unusable: if the model refuses, or its second answer cannot be used either.
    """
    try:
        return read(client.ask(question))
    except Unusable as error:
        if error.is_refusal:
            raise
        folder = files("audiostory_core.llm") / "prompts"
        again = Template((folder / "again.md").read_text(encoding="utf-8"))
        messages = [
            *question.messages,
            {"role": "assistant", "content": error.text[:MAX_SENT_BACK] or "{}"},
            {"role": "user", "content": again.substitute(reason=error.problem)},
        ]
    return read(client.ask(replace(question, messages=messages)))


def parse(text: str, form: type[_Form], field: str) -> _Form:
    """Return the JSON object of a text that has a field, as a form.

    Raises:
        Unusable: if there is none, or it does not fit.
    """
    try:
        return form.model_validate(find_object(text, field))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Unusable(f"is wrong in {where}: {first['msg']}", text) from error
    except ValueError as error:
        raise Unusable(str(error), text) from error
