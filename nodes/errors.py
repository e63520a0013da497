"""Errors of the steps."""


class StepFailed(Exception):
    """A step cannot go on; its message goes to the run's row and to the author."""


class RunStopped(Exception):
    """The run was cancelled, or another worker has it; nothing is to be done about it."""
