"""Keeps the client's memory flat: many threads that pass pictures on to each other would fragment as many heaps."""

import ctypes
import sys

M_ARENA_MAX = -8  # of glibc's malloc.h
ARENAS = 2


def bound_heaps() -> None:
    """Let all threads that start from now on share two heaps of the C library (glibc; elsewhere nothing happens).

    By default each thread gets one of its own, up to eight a core. A picture is allocated in one thread, coded in a second and let go in a
    third, so
    each heap keeps holes of the sizes that the others need: with 50 KB pictures that is a hundred MiB and grows. The environment variable
    MALLOC_ARENA_MAX=2 does the same for a whole process.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(M_ARENA_MAX, ARENAS)
