import ctypes
import resource
import sys
from pathlib import Path

import pytest

from coemogen_core.device import give_back_heap

PAGE = resource.getpagesize()


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20


@pytest.mark.skipif(not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc's heap")
def test_free_pages_go_back_though_a_block_above_them_stays():
    library = ctypes.CDLL(None)
    library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    give_back_heap()
    blocks = [library.malloc(60_000) for _ in range(1_000)]
    for block in blocks:
        ctypes.memset(block, 1, 60_000)
    for block in blocks[:-1]:
        library.free(block)
    before = resident_mib()
    give_back_heap()
    assert resident_mib() < before - 40
    library.free(blocks[-1])
