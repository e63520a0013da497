"""Keeping a worker's memory at what it needs."""

import ctypes

M_ARENA_MAX = -8  # malloc.h of glibc


def share_one_arena() -> None:
    """Have all threads to come allocate from one arena, where the C library has arenas (glibc).

    Clips are made and measured in threads that each would keep the memory they once needed; a
    story of ten minutes then peaked at 432 MB instead of 339 MB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
