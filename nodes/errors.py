"""Errors of the steps."""


class StepFailed(Exception):
    """A step cannot go on; its message goes to the run's row and to the author.

    Args:
        message: a sentence.
        is_bad_input: whether the author can mend it.
    """

    def __init__(self, message: str, *, is_bad_input: bool = False) -> None:
        self.is_bad_input = is_bad_input
        super().__init__(message)


class RunStopped(Exception):
    """The run was cancelled, or another worker has it; nothing is to be done about it."""


class EngineAway(Exception):
    """No worker has ever offered the engine that a step needs; it may still come.

    Args:
        name: of the engine.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"No worker here can run the engine {name!r} so far. The story goes on when one can: "
            f"`audiostory doctor` says what is missing, `audiostory worker --engine {name}` starts "
            "one."
        )
