import ctypes
import subprocess
import sys

import pytest

from neocog.training.speed import keep_memory, session

glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="needs glibc"
)
PROGRAM = """
import resource, torch
from neocog.training.speed import keep_memory

def fresh():
    '''MiB of fresh pages for 640 that are filled.'''
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.zeros(64 << 20, dtype=torch.uint8)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() >> 20

def resident():
    return int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize() >> 20

before = fresh()
with keep_memory() as kept:
    within, large = fresh(), resident()
print(before, kept, within, large - resident())
"""


@glibc
def test_keep_memory_reuses_large_blocks_and_returns_them_at_the_end():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    before, kept, within, given_back = done.stdout.split()
    assert kept == "True"
    assert int(before) >= 640
    assert int(within) < 320
    assert int(given_back) >= 60


def test_keep_memory_does_nothing_on_other_systems(monkeypatch):
    monkeypatch.setattr(session.sys, "platform", "darwin")
    with keep_memory() as kept:
        assert not kept


def test_keep_memory_does_nothing_without_mallopt(monkeypatch):
    monkeypatch.setattr(session.sys, "platform", "linux")
    monkeypatch.setattr(session.ctypes, "CDLL", lambda _: object())
    with keep_memory() as kept:
        assert not kept
