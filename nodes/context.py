"""What is being worked on here and now, for whoever logs: the story, its run, a clip.

Kept in a context variable: tasks and threads (`asyncio.to_thread`) begun within a `bind` inherit it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

Ids = Mapping[str, str | int]
_bound: ContextVar[Ids] = ContextVar("bound", default=MappingProxyType({}))


@contextmanager
def bind(**ids: str | int) -> Iterator[None]:
    """Have every log line within the block carry these ids, beside those bound around it."""
    token = _bound.set(MappingProxyType({**_bound.get(), **ids}))
    try:
        yield
    finally:
        _bound.reset(token)


def bound() -> Ids:
    """Return the ids bound here."""
    return _bound.get()
