import os
import shutil

import pytest

from neocog.doctor import check, folders


def test_check_finds_stray_files_links_and_clutter(clean, tmp_path, found, keys, save):
    cat = clean / "train" / "cat"
    save(clean / "loose.png", 900)
    save(clean / "val" / "loose2.png", 901)
    (cat / "notes.txt").write_text("x")
    save(cat / "kept.png", 902).rename(cat / "kept.png.bak")
    (cat / "Thumbs.db").write_bytes(b"x")
    (clean / ".DS_Store").write_bytes(b"x")
    (clean / "test" / ".ipynb_checkpoints").mkdir()
    save(clean / "test" / ".ipynb_checkpoints" / "x.png", 903)
    (clean / "train" / "bird").mkdir()
    outside = tmp_path / "outside"
    save(outside / "far.png", 904)
    (cat / "far").symlink_to(outside)
    (cat / "near.png").symlink_to(cat / "train0.png")
    (cat / "lost.png").symlink_to(tmp_path / "nowhere.png")
    (cat / "self.png").symlink_to("self.png")
    (cat / "back").symlink_to(clean / "train")
    findings = found(clean)
    expected = {
        "stray-picture": ["loose.png", "val/loose2.png"],
        "no-picture-name": ["train/cat/notes.txt"],
        "picture-by-another-name": ["train/cat/kept.png.bak"],
        "clutter": [".DS_Store", "test/.ipynb_checkpoints", "train/cat/Thumbs.db"],
        "empty-class-folder": ["train/bird"],
        "class-without-records": ["bird"],
        "link-outside": ["train/cat/far"],
        "link-broken": ["train/cat/lost.png", "train/cat/self.png"],
        "link-loop": ["train/cat/back"],
        "duplicate-within-split": ["train/cat/train0.png"],
    }
    assert {kind: sorted(keys(finding)) for kind, finding in findings.items()} == {
        kind: sorted(names) for kind, names in expected.items()
    }
    assert findings["picture-by-another-name"].examples[0].detail == "it is PNG"


def test_check_finds_unreadable_folders_and_files(clean, found, keys, monkeypatch):
    scan, read = os.scandir, type(clean).read_bytes
    closed = clean / "train" / "cat" / "closed"
    closed.mkdir()

    def scandir(path="."):
        if os.fspath(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    def read_bytes(self):
        if self.name == "train3.png":
            raise PermissionError(13, "Permission denied", str(self))
        return read(self)

    monkeypatch.setattr(folders.os, "scandir", scandir)
    monkeypatch.setattr(type(clean), "read_bytes", read_bytes)
    findings = found(clean)
    assert set(findings) == {"folder-unreadable", "unreadable"}
    assert keys(findings["folder-unreadable"]) == ["train/cat/closed"]
    assert keys(findings["unreadable"]) == ["train/cat/train3.png", "train/dog/train3.png"]
    assert "Permission denied" in findings["unreadable"].examples[0].detail


def test_check_finds_class_folders_that_differ_by_case(clean, found):
    shutil.copytree(clean / "train" / "cat", clean / "train" / "Cat")
    findings = found(clean)
    assert findings["classes-differ-by-case"].examples[0].key == "cat"
    assert findings["labels-contradict"].count == 24


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "valid").mkdir(), "val and valid both mean val"),
        (lambda root: shutil.move(root / "val", root / "birds"), "because it also has birds"),
    ],
)
def test_set_that_cannot_be_opened_is_a_finding(clean, spoil, message):
    spoil(clean)
    (clean / ".hidden").write_text("")
    report = check(clean)
    assert [finding.kind for finding in report.findings] == ["cannot-open", "clutter"]
    assert message in report.findings[0].examples[0].detail
    assert (report.errors, report.source, report.records) == (1, None, 0)


def test_class_folder_may_be_a_link(clean, tmp_path, found, keys, save):
    for split in ("train", "val", "test"):
        for i in range(12):
            save(tmp_path / "elsewhere" / split / f"{i}.png", 5000 + 100 * len(split) + i + (split == "val") * 50)
        (clean / split / "fox").symlink_to(tmp_path / "elsewhere" / split)
    assert {kind: finding.count for kind, finding in found(clean).items()} == {"link-outside": 3}


def test_check_walks_deep_folders(clean, found, save):
    deep = clean / "train" / "cat"
    for _ in range(60):
        deep = deep / "d"
    save(deep / "a.png", 910)
    (deep / "note.txt").write_text("x")
    assert found(clean)["no-picture-name"].count == 1
