"""A service that has done much work must not keep the memory for good."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Bodies of 2 MB come and go, and small things that stay are made between them.
_WORK = """
import sys
import psutil
from suppli_service_kit import memory

if sys.argv[1] == "tuned":
    memory.give_back()
before = psutil.Process().memory_info().rss
kept = []
for size in range(5):
    bodies = []
    for _ in range(20):
        bodies.append(b"x" * (3_000_000 - size * 100_000))
        kept.append(b"x" * (700 + size))
    del bodies
print((psutil.Process().memory_info().rss - before) // 1_000_000)
"""


def kept_mb(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", _WORK, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is tuned")
def test_what_is_freed_goes_back() -> None:
    """Otherwise each service grows by what its largest page took, and is ended for it by its limit."""
    assert kept_mb("tuned") <= 5
