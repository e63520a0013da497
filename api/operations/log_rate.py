"""Lines of the log that would come with every request, once a minute."""

import logging
import time

PAUSE_S = 60.0  # between two equal lines
MAX_KNOWN = 100

log = logging.getLogger(__name__)
_logged: dict[str, float] = {}  # line -> when


def log_seldom(line: str) -> None:
    """Log an error, unless the same one was logged within `PAUSE_S`."""
    now = time.monotonic()
    if now - _logged.get(line, -PAUSE_S) < PAUSE_S:
        return
    if len(_logged) >= MAX_KNOWN:
        _logged.clear()
    _logged[line] = now
    log.error("%s", line)
