"""Logs on stderr, a line each: JSON for machines or text for people.

Whatever logs through the standard library ends up here. Secrets are struck out of the finished
line, wherever in it they are.
"""

import io
import logging
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor

from api.settings import LogFormat, LogLevel
from api.terminal.shown import shown

OURS = ("api", "graph", "nodes", "audiostory_core", "storage")
SERVER = ("uvicorn", "uvicorn.error", "uvicorn.access")
SECRETS = re.compile(
    r"(?P<key>\bas_[0-9a-z]+_)[0-9a-f]+|(?P<hook>\bwhsec_)[\w+/=-]+"
    r"|(?P<user>://[^\s/:@]*:)[^\s/@]+(?=@)",
    re.ASCII,
)
Bound = Callable[[], Mapping[str, str | int]]


def configure(form: LogFormat, level: LogLevel, bound: Bound = dict) -> None:
    """Log to stderr from now on; what was configured before is replaced.

    Args:
        form: of a line.
        level: of our own modules and of the server; other libraries only warn.
        bound: returns the ids of what is being worked on where a line is logged.
    """

    def add_bound(logger: object, name: str, event: EventDict) -> EventDict:
        return {**event, **bound()}

    is_json = form == LogFormat.JSON
    colors = sys.stderr.isatty()
    rendering: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if is_json
        else [_show, structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_trace)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            pass_foreign_args=True,
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _tell_request,
                add_bound,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *rendering,
                _strike_secrets,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in (*OURS, *SERVER):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
        logger.setLevel(level.upper())


def _show(logger: object, name: str, event: EventDict) -> EventDict:
    """Replace what would control the terminal; values that are no text are shown as their repr."""
    return {key: shown(value) if isinstance(value, str) else value for key, value in event.items()}


def _trace(sink: TextIO, info: ExcInfo) -> None:
    """Write a traceback without local variables, for there are secrets among them."""
    plain = io.StringIO()
    structlog.dev.plain_traceback(plain, info)
    sink.write(shown(plain.getvalue()))


def _tell_request(logger: object, name: str, event: EventDict) -> EventDict:
    """Take a line of the access log apart; what follows ? is left out, for it may be private."""
    arguments = event.pop("positional_args", ())
    event.pop("color_message", None)  # uvicorn's, the same text again
    if event["_record"].name != "uvicorn.access" or len(arguments) != 5:
        return event
    client, method, path, _, status = arguments
    fields = {"client": client, "method": method, "path": path.partition("?")[0], "status": status}
    return {**event, "event": "request", **fields}


def _strike_secrets(logger: object, name: str, line: Any) -> str:
    """Replace secrets in the text that the processor before has made of an event."""
    return SECRETS.sub(lambda match: f"{match[match.lastgroup or 0]}…", line)
