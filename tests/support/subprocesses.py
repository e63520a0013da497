"""Functions run in processes of their own, all forked from one that has the libraries loaded."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["audiostory_core.model.weights.loading", "pytest", "tests.support.golden_recipe"]
)


def run_together(calls: list[tuple[Callable[..., Any], tuple[Any, ...]]]) -> list[Any]:
    """Run functions of test modules at the same time, each in a process, and return what they do.

    An error of one is raised here.
    """
    running = []
    for function, arguments in calls:
        ours, theirs = FORKS.Pipe(duplex=False)
        process = FORKS.Process(target=_answer, args=(theirs, function, arguments))
        process.start()
        theirs.close()
        running.append((process, ours))
    answers = []
    for process, ours in running:
        answers.append(ours.recv())
        process.join(timeout=60)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def run_apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run one function in a process of its own and return what it does."""
    return run_together([(function, arguments)])[0]


def _answer(theirs: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        answer = function(*arguments)
    except Exception as error:  # noqa: BLE001 - is raised in the process that asked
        answer = RuntimeError(f"{type(error).__name__}: {error}")
    theirs.send(answer)
