"""JSON from outside: whatever is wrong with it is one kind of error."""

import json
from typing import Any


class NotJson(ValueError):
    """What is wrong with a text that should be JSON, a predicate without a full stop."""


def parse(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        NotJson: if it is none, or has numbers too long or nesting too deep to be read.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"is not JSON (line {error.lineno}: {error.msg})") from error
    except UnicodeDecodeError as error:
        raise NotJson("is not UTF-8 text") from error
    except RecursionError as error:
        raise NotJson("is nested too deep") from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise NotJson("has a number of too many digits") from error
