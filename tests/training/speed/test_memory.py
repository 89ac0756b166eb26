import ctypes
import subprocess
import sys

import pytest

from neocog.training.speed import keep_memory, memory

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
def test_within_the_block_large_memory_is_used_again_and_afterwards_it_is_given_back():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    before, kept, within, given_back = done.stdout.split()
    assert kept == "True"
    assert int(before) >= 640
    assert int(within) < 320
    assert int(given_back) >= 60


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    with keep_memory() as kept:
        assert not kept


def test_a_library_that_has_no_such_setting_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    with keep_memory() as kept:
        assert not kept
