import ctypes
import subprocess
import sys
import textwrap

import pytest

from neocog.training.speed import keep_memory, memory

glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="needs glibc"
)


@glibc
@pytest.mark.parametrize("keep", [False, True])
def test_a_large_block_comes_back_from_the_system_only_where_memory_is_not_kept(keep):
    code = f"""
        import resource, torch
        from neocog.training.speed import keep_memory
        assert not {keep} or keep_memory()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            torch.zeros(64 << 20, dtype=torch.uint8)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() >> 20)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert (int(done.stdout) < 320) == keep  # MiB of fresh pages, of 640 that were filled


@glibc
def test_it_says_that_it_was_done():
    done = subprocess.run(
        [sys.executable, "-c", "from neocog.training.speed import keep_memory; print(keep_memory())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True\n"


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert not keep_memory()


def test_a_library_that_has_no_such_setting_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    assert not keep_memory()
