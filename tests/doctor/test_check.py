import hashlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from neocog.data import ArraySource, ImageFolder
from neocog.doctor import KINDS, check
from neocog.doctor.examine import in_threads
from neocog.errors import ConfigError, DataError


def state(root):
    """Everything that could have been changed."""
    return {
        path.relative_to(root).as_posix(): (
            path.lstat().st_mtime_ns,
            path.lstat().st_mode,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None,
        )
        for path in sorted([root, *root.rglob("*")])
    }


def test_clean_set_has_no_findings_and_is_left_unchanged(clean):
    before = state(clean)
    report = check(clean)
    assert report.findings == ()
    assert (report.errors, report.skip) == (0, {})
    assert (report.name, report.format, report.modality, report.task) == (
        "clean",
        "image-folder",
        "image",
        "classification",
    )
    assert (report.records, report.examined, report.classes) == (36, 36, ("cat", "dog"))
    assert report.splits == {"train": 24, "val": 6, "test": 6}
    assert report.counts == {"train": (12, 12), "val": (3, 3), "test": (3, 3)}
    assert len(report.fingerprint) == 16
    assert state(clean) == before


def test_damaged_set_is_left_unchanged(clean, save):
    (clean / "train" / "cat" / "train0.png").write_bytes(b"")
    (clean / "train" / "cat" / "page.jpg").write_bytes(b"<html>")
    (clean / "train" / "cat" / "lost.png").symlink_to("nowhere")
    before = state(clean)
    assert check(clean).errors == 3
    assert state(clean) == before


def test_digits_have_no_errors(digits):
    report = check(digits)
    assert {finding.severity for finding in report.findings} <= {"note", "warning"}
    assert (report.errors, report.records) == (0, 1300)


def test_check_raises_for_wrong_arguments(clean, tmp_path):
    with pytest.raises(DataError, match="There is no '.*absent'"):
        check(tmp_path / "absent")
    with pytest.raises(ConfigError, match=r"No layout is called 'images'. (Did you mean|Known)"):
        check(clean, format="images")
    with pytest.raises(ConfigError, match="--limit must be at least 1. Received: 0"):
        check(clean, limit=0)


def test_report_does_not_depend_on_the_number_of_threads(clean):
    (clean / "train" / "cat" / "train3.png").write_bytes(b"")
    one, many = (check(clean, workers=workers) for workers in (1, 7))
    assert one.to_json() == many.to_json()
    assert one.findings == many.findings


def test_json_report_holds_plain_values(clean):
    name = b"caf\xe9 <script>\n.png"
    source = clean / "train" / "cat" / "train0.png"
    source.rename(source.with_name(os.fsdecode(name)))
    (clean / "train" / "cat" / "train1.png").write_bytes(b"")
    report = check(clean)
    text = json.dumps(report.to_json())
    text.encode("ascii")
    back = json.loads(text)
    assert back == report.to_json()
    assert set(back) == {
        "version", "data", "name", "format", "modality", "task", "fingerprint", "records", "examined", "splits",
        "classes", "notices", "findings", "skip",
    }  # fmt: skip
    assert back["splits"]["train"] == {"records": 24, "classes": [12, 12]}
    findings = {finding["kind"]: finding for finding in back["findings"]}
    assert set(findings["zero-bytes"]) == {"kind", "severity", "count", "sentence", "remedy", "examples"}
    assert findings["name-not-unicode"]["examples"][0]["key"] == "train/cat/caf\udce9 <script>\n.png"
    assert back["skip"] == {"train/cat/train1.png": "empty"}


def test_fingerprint_is_empty_if_a_file_is_gone(clean, monkeypatch):
    def content(_source):
        raise DataError("train/cat/train0.png can't be read")

    monkeypatch.setattr(ImageFolder, "content", content)
    assert check(clean).fingerprint == ""


def test_interrupted_pass_starts_nothing_more_and_leaves_no_thread(monkeypatch):
    begun, permits, shutdown = [], threading.Semaphore(16), ThreadPoolExecutor.shutdown

    def make(item):
        permits.acquire()
        begun.append(item)
        return item

    def release_and_shut_down(self, **options):
        permits.release(100_000)
        shutdown(self, **options)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", release_and_shut_down)
    before = threading.active_count()
    made = in_threads(make, range(100_000), workers=1)
    assert next(made) == 0
    with pytest.raises(KeyboardInterrupt):
        made.throw(KeyboardInterrupt)
    assert threading.active_count() == before
    assert len(begun) <= 17  # the first sixteen, and the one that was waiting


def test_in_threads_keeps_the_order():
    assert list(in_threads(lambda item: item * 2, range(1000), workers=3)) == [2 * i for i in range(1000)]
    assert list(in_threads(len, [])) == []
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda item: 1 // item, [1, 0, 2]))


def test_array_source_is_examined_in_batches(noisy):
    images = np.random.default_rng(0).integers(0, 256, (2500, 8, 8), dtype=np.uint8)
    images[2400] = images[5]
    labels = np.arange(2500) % 5
    findings = check(ArraySource("a", {"all": (images, labels)})).findings
    assert [(finding.kind, finding.count) for finding in findings] == [("duplicate-within-split", 1)]
    assert findings[0].examples[0].detail == "equal to all/5"


def test_every_kind_is_covered_by_a_test():
    from pathlib import Path

    here = Path(__file__).parent
    text = "".join(path.read_text() for path in here.glob("test_*.py"))
    missing = [kind.name for kind in KINDS if f'"{kind.name}"' not in text]
    assert not missing
