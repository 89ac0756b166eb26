"""What the folders above the files stand for, alike for pictures, sounds, texts and signals."""

import numpy as np
import pytest
import soundfile
from PIL import Image

from neocog.data import check_trainable, divide, open_source
from neocog.dataset.record import num_left_out
from neocog.doctor import check
from neocog.errors import ConfigError, DataError

SUFFIXES = {"image": "png", "audio": "wav", "text": "txt", "signal": "npy"}
CLASSES = ("cat", "dog")


def write_file(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(number).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    if path.suffix == ".png":
        Image.fromarray(values).save(path)
    elif path.suffix == ".wav":
        soundfile.write(path, values.ravel() / 256, 8000)
    elif path.suffix == ".npy":
        np.save(path, values.ravel().astype(np.float32))
    else:
        path.write_text(f"text {number}")


@pytest.fixture
def write(tmp_path):
    """A function that makes a set with a few files in each of these folders."""

    def write(*folders, modality="image", count=2):
        number = 0
        for folder in folders:
            for k in range(count):
                write_file(tmp_path / "set" / folder / f"{k}.{SUFFIXES[modality]}", number)
                number += 1
        return tmp_path / "set"

    return write


def product(*levels):
    """All paths that are made of one name of each level."""
    paths = [""]
    for names in levels:
        paths = [f"{path}/{name}".lstrip("/") for path in paths for name in names]
    return paths


def files_in(source, split):
    return sorted(source.key(i) for i in source.splits[split].tolist())


@pytest.mark.parametrize("modality", SUFFIXES)
@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training", "Testing"),
        ("seg_train", "seg_test"),
        ("train2017", "test2017"),
        ("01_trn", "02_tst"),
        ("a_train", "a_test"),
    ],
)
def test_folders_of_splits_are_read_as_splits(write, modality, train, test):
    root = write(*product((train, test), CLASSES), modality=modality)
    source = open_source(root)
    assert (source.modality, source.classes) == (modality, CLASSES)
    for split, folder in (("train", train), ("test", test)):
        keys = files_in(source, split)
        assert keys == sorted(f"{folder}/{c}/{k}.{SUFFIXES[modality]}" for c in CLASSES for k in range(2))
        assert all(
            source.classes[source.targets[i]] == source.key(i).split("/")[1] for i in source.splits[split].tolist()
        )
    assert f"folders are read as splits: {train} as train, {test} as test" in source.notices
    check_trainable(source)


def test_names_that_users_are_told_to_write_need_no_word(write):
    assert open_source(write(*product(("train", "VALID", "test"), CLASSES))).notices == ()


def test_folder_within_one_of_its_own_name_is_looked_into(write):
    source = open_source(write(*product(("seg_train/seg_train", "seg_test/seg_test"), CLASSES)))
    assert (source.classes, {split: len(part) for split, part in source.splits.items()}) == (
        CLASSES, {"train": 4, "test": 4},
    )  # fmt: skip
    assert "seg_train/seg_train is read as train" in source.notices


def test_check_says_what_training_says(write):
    root = write(*product(("Training", "Testing"), CLASSES), count=3)
    write_file(root / "loose.png", 99)
    report = check(root)
    assert report.notices == open_source(root).notices
    assert {finding.kind for finding in report.findings} >= {"stray-picture"}
    assert not any(finding.kind == "empty-class-folder" for finding in report.findings)


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        (("cat", "dog", "test"), ("cat", "dog", "test")),
        (("cat", "dev", "holdout"), ("cat", "dev", "holdout")),
        (("rest", "training"), ("rest", "training")),
        (("blood_test", "bus_station", "train_station"), ("blood_test", "bus_station", "train_station")),
        (("test1", "test2"), ("test1", "test2")),
        (("trainers", "testudo"), ("testudo", "trainers")),
        (("cat/images", "dog/images"), ("cat", "dog")),
        (("fold", "unfold"), ("fold", "unfold")),
    ],
)
def test_classes_with_such_names_stay_classes(write, folders, classes):
    source = open_source(write(*folders))
    assert (source.classes, list(source.splits), source.groups, source.notices) == (classes, ["all"], None, ())


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (
            ("train", "bus", "car"),
            r"in two ways: as splits \(train\) or as classes, because it also has bus, car\..*class_level 1\.",
        ),
        (
            product(("Training", "Testing", "docs"), CLASSES),
            r"as splits \(train, test\) or as classes, because it also has docs",
        ),
        (("cat_train", "cat_test", "dog_train", "dog_test"), "two ways: cat_test and dog_test both mean test"),
        (product(("train", "train2", "test"), CLASSES), "two ways: train and train2 both mean train"),
        (("train", "test"), r"needs a folder.*splits \(train, test\), and hold the files directly"),
        (
            ("Training", "Testing"),
            r"are splits \(Training, Testing\), and hold the files.*set/train/CLASS/.*class_level 1",
        ),
        (("train",), r"splits \(train\), and hold.*; if train is a class: --data\.class_level 1\.$"),
        (("fold1", "fold2"), r"are folds \(fold1, fold2\), and hold the files directly, so the classes are unknown"),
        (
            product(("fold1", "fold2"), ("train", "test"), CLASSES),
            r"each fold has splits of its own\. Give one .*set/fold1",
        ),
        (
            product(("train", "test"), ("train", "test")),
            "folders of splits hold those of classes. .*received test, train",
        ),
        (
            product(("siteA", "siteB"), CLASSES),
            r"as the classes siteA, siteB, or as the classes cat, dog.*class_level 1 or",
        ),
        (
            product(("s01", "s02", "s03"), ("walk", "run")),
            r"s01, s02, s03, or as the classes run, walk.*--data.class_level 1 or --data.class_level 2",
        ),
        (
            product(("train", "test"), ("A", "B"), CLASSES),
            r"A, B, or as the classes cat, dog.*class_level 2 or .*class_level 3",
        ),
        (
            product(("mnist", "svhn"), ("train", "test"), CLASSES),
            r"mnist, svhn as classes, or as data sets of their own.*set/mnist; else.*as classes: --data\.class_level 1",
        ),
        (
            product(("amazon", "dslr"), ("images",), ("bike", "mug")),
            r"as the classes amazon, dslr, or as the classes bike, mug.*class_level 1 or --data\.class_level 3",
        ),
        (
            ("s1/day1/cat", "s1/day1/dog", "s2/day2/cat", "s2/day2/dog"),
            r"s1, s2, or as the classes cat, dog.*class_level 1 or.*If s1, s2 are splits, call them train, val",
        ),
        (
            product(("train", "test"), ("A", "B"), ("images",), CLASSES),
            r"A, B, or as the classes cat, dog.*class_level 2; or move the inner folders up\.$",
        ),
        (
            (*CLASSES, *product(("set",), CLASSES)),
            r"set as a class, or as a copy of the data set, because the folders cat, dog are beside .*/set/set and",
        ),
        (
            (*product(("train", "test"), CLASSES), *product(("train/old",), CLASSES)),
            r"old as a class, or as a copy of the data set.*if it is a class: --data\.class_level 2\.$",
        ),
        (
            (*product(("images",), ("train", "test"), CLASSES), "notes"),
            r"images as a class, or as a data set of its own, because it has folders test, train .*set/images; else",
        ),
    ],
)
def test_folders_with_two_readings_are_refused(write, folders, message):
    with pytest.raises(DataError, match=message):
        open_source(write(*folders))


@pytest.mark.parametrize(
    "folders", [("train", "bus"), ("train", "test"), product(("siteA", "siteB"), CLASSES), ("fold1", "fold2")]
)
def test_level_1_reads_all_folders_as_classes(write, folders):
    source = open_source(write(*folders), class_level=1)
    assert source.classes == tuple(sorted({folder.split("/")[0] for folder in folders}))
    assert list(source.splits) == ["all"] and len(source) == 2 * len(folders)


@pytest.mark.parametrize("modality", SUFFIXES)
@pytest.mark.parametrize(
    "folders",
    [product(("s1", "s2"), ("day1",), CLASSES), (*CLASSES, *product(("copy",), CLASSES))],
)
def test_folders_in_common_are_found_below_a_single_folder_and_beside(write, folders, modality):
    root = write(*folders, modality=modality)
    with pytest.raises(DataError, match="two ways"):
        open_source(root)
    source = open_source(root, class_level=1)
    assert source.classes == tuple(sorted({folder.split("/")[0] for folder in folders}))


@pytest.mark.parametrize(
    "folders",
    [
        product(CLASSES, ("images",)),
        ("benign/SOB/adenosis/40X", "benign/SOB/adenosis/100X", "malign/SOB/ductal/40X", "malign/SOB/ductal/100X"),
        ("cat", "dog", "dog/cat"),
        ("cat/cat", "dog/dog"),
        ("bird/finch", "bird/crow", "cat/tabby", "cat/siam", "mammal/cat", "mammal/dog"),
    ],
)
def test_folders_within_classes_that_are_not_classes_are_read_through(write, folders):
    source = open_source(write(*folders))
    assert source.classes == tuple(sorted({folder.split("/")[0] for folder in folders}))
    assert len(source) == 2 * len(folders)


def test_level_3_reads_classes_below_a_single_folder(write):
    root = write(*product(("amazon", "dslr", "webcam"), ("images",), CLASSES))
    source = open_source(root, class_level=3)
    assert (source.classes, len(set(source.groups.tolist()))) == (CLASSES, 3)


@pytest.mark.parametrize("modality", SUFFIXES)
def test_level_2_makes_the_upper_folders_groups(write, modality):
    root = write(*product(("s01", "s02", "s03"), ("run", "walk")), modality=modality)
    source = open_source(root, class_level=2)
    assert (source.classes, list(source.splits)) == (("run", "walk"), ["all"])
    upper = [source.key(i).split("/")[0] for i in range(len(source))]
    assert len(set(zip(upper, source.groups.tolist(), strict=True))) == len(set(upper)) == 3
    assert "3 groups, each kept in one split: the folders s01, s02, s03" in source.notices


def test_two_upper_folders_are_put_together(write):
    source = open_source(write(*product(("siteA", "siteB"), CLASSES)), class_level=2)
    assert (source.classes, source.groups) == (CLASSES, None)
    assert source.notices == ("the files of the folders siteA, siteB are put together",)


def test_level_3_is_below_splits(write):
    root = write(*product(("train", "test"), ("A", "B", "C"), CLASSES))
    source = open_source(root, class_level=3)
    assert (source.classes, list(source.splits), len(set(source.groups.tolist()))) == (CLASSES, ["train", "test"], 3)
    for level in (1, 2):
        expected = ("test", "train") if level == 1 else ("A", "B", "C")
        assert open_source(root, class_level=level).classes == expected


def test_missing_level_is_named(write):
    root = write(*CLASSES)
    with pytest.raises(
        ConfigError, match=r"class_level 2 reads the folders 2 levels below .*set as classes\. There are n"
    ):
        open_source(root, class_level=2)
    with pytest.raises(ConfigError, match=r"class_level is one of 1, 2, 3\. Received: 4"):
        open_source(root, class_level=4)
    assert open_source(root, class_level=1).classes == CLASSES


def test_folders_in_common_count_only_where_they_hold_data(write):
    root = write(*product(CLASSES, ("images",)))
    for name in CLASSES:
        (root / name / "annotations").mkdir()
        (root / name / "annotations" / "a.xml").write_text("<a/>")
    assert open_source(root).classes == CLASSES


def test_folders_within_classes_are_reported_where_all_files_lie_in_them(write):
    source = open_source(write("cat/p1", "cat/p2", "dog/p3"))
    assert source.classes == CLASSES
    [notice] = source.notices
    assert notice.startswith(
        "the classes are cat, dog; the folders within theirs, such as p1, p2 and 1 more, are not c"
    )
    assert notice.endswith("(--data.class_level 2 makes them so)")
    assert open_source(source.root, class_level=2).classes == ("p1", "p2", "p3")


@pytest.mark.parametrize("level", [None, 1])
def test_splits_within_classes_are_splits(write, level):
    source = open_source(write(*product(CLASSES, ("Train", "Test"))), class_level=level)
    assert source.classes == CLASSES
    assert files_in(source, "test") == [f"{name}/Test/{k}.png" for name in CLASSES for k in range(2)]
    assert "the folders within the class folders are read as splits: Test, Train" in source.notices


def test_splits_within_some_classes_only_are_refused(write):
    with pytest.raises(
        DataError, match=r"cat, dog as classes, or as data sets of their own, because they have folders test, train"
    ):
        open_source(write(*product(CLASSES, ("train", "test")), "ox"))


@pytest.mark.parametrize("modality", SUFFIXES)
def test_split_without_classes_is_left_out_with_its_count(write, modality):
    root = write(*product(("train",), CLASSES), "test", modality=modality, count=3)
    source = open_source(root)
    assert list(source.splits) == ["train"]
    assert (len(source), num_left_out(source)) == (6, 3)
    left = "3 samples of test have no labels and are left out; training samples are held out for the test instead"
    assert left in source.notices
    parts = divide(source, val_fraction=0.3, test_fraction=0.3, seed=0)
    assert [source.targets[part].tolist() for part in (parts.val, parts.test)] == [[0, 1], [0, 1]]


@pytest.mark.parametrize("modality", SUFFIXES)
@pytest.mark.parametrize("name", ["seg_pred", "Unlabeled", "to predict"])
def test_files_to_predict_beside_the_splits_are_left_out_and_counted(write, modality, name):
    root = write(*product(("seg_train", "seg_test"), CLASSES), f"{name}/x", modality=modality, count=3)
    source = open_source(root)
    assert list(source.splits) == ["train", "test"] and source.classes == tuple(sorted(CLASSES))
    assert (len(source), num_left_out(source)) == (12, 3)
    assert any("without a class were skipped" in notice and name in notice for notice in source.notices)
    with pytest.raises(DataError, match=r"as splits \(train, test\) or as classes, because it also has bus"):
        open_source(write("bus", modality=modality))


def test_folders_without_data_beside_the_splits_are_reported(write):
    root = write(*product(("train", "test"), CLASSES))
    (root / "docs").mkdir()
    (root / "docs" / "guide.html").write_text("-")
    (root / "annotations").mkdir()
    notice = "folders beside the splits without any such files were skipped: annotations, docs"
    assert notice in open_source(root).notices and check(root).notices == open_source(root).notices
    assert open_source(root).classes == tuple(sorted(CLASSES))


def test_folder_of_images_in_a_split_is_not_a_class(write):
    source = open_source(write(*product(("train",), CLASSES, ("images",)), "val/images", "test/images"))
    assert (source.classes, list(source.splits), source.unlabelled) == (CLASSES, ["train"], ("val", "test"))
    assert (len(source), num_left_out(source)) == (4, 4)
    assert open_source(write(*product(("train", "val"), ("images",)))).classes == ("cat", "dog", "images")


def test_class_without_files_stays_where_splits_lie_within_classes(write):
    root = write(*product(CLASSES, ("train", "test")))
    (root / "ox").mkdir()
    with pytest.raises(DataError, match=r"no sample of 1 of them, first 'ox'"):
        check_trainable(open_source(root))


def test_texts_in_folders_of_splits_have_no_class(write, tmp_path):
    root = write("train", "test", modality="text")
    with pytest.raises(DataError, match=r"folders of .* are splits \(train, test\), and hold the files"):
        open_source(root)
    (root / "train.csv").write_text("text,label\na,1\nb,2\n")
    assert open_source(root).format == "text-table"


# Folds


@pytest.mark.parametrize("modality", SUFFIXES)
@pytest.mark.parametrize(
    "names", [[f"fold{k}" for k in range(1, 11)], [f"fold_{k}" for k in range(4)], ["Fold 2", "Fold 10", "Fold 3"]]
)
def test_the_last_fold_is_the_test_and_none_is_divided(write, names, modality):
    source = open_source(write(*product(names, CLASSES), modality=modality))
    last = max(names, key=lambda name: int("".join(filter(str.isdigit, name))))
    assert source.classes == CLASSES
    assert {key.split("/")[0] for key in files_in(source, "test")} == {last}
    assert {key.split("/")[0] for key in files_in(source, "train")} == set(names) - {last}
    folds = [source.key(i).split("/")[0] for i in range(len(source))]
    assert len(set(zip(folds, source.groups.tolist(), strict=True))) == len(names)
    assert (
        f"{len(names)} folds: {last} is the test, and each fold stays whole; --data.test_fold chooses another"
        in source.notices
    )


@pytest.mark.parametrize("wanted", ["2", 2, "fold02", "FOLD02"])
def test_a_fold_is_chosen_by_name_or_number(write, wanted):
    source = open_source(write(*product(("fold01", "fold02", "fold03"), CLASSES)), test_fold=wanted)
    assert {key.split("/")[0] for key in files_in(source, "test")} == {"fold02"}


def test_a_class_may_be_missing_from_a_fold(write):
    source = open_source(write("fold1/cat", "fold1/dog", "fold2/cat", "fold3/dog", "fold3/ox"))
    assert source.classes == ("cat", "dog", "ox")
    assert "train has no sample of 'ox'" in source.notices and "test has no sample of 'cat'" in source.notices


def test_of_two_folds_one_trains_and_is_divided(write):
    source = open_source(write(*product(("fold1", "fold2"), CLASSES)))
    assert (list(source.splits), source.groups) == (["train", "test"], None)
    assert source.notices == ("2 folds: fold2 is the test; --data.test_fold chooses another",)
    parts = divide(source, val_fraction=0.4, test_fraction=0.2, seed=0)
    assert (len(parts.train), len(parts.val), len(parts.test)) == (2, 2, 4)


def test_of_three_folds_each_has_its_part(write):
    source = open_source(write(*product(("fold1", "fold2", "fold3"), CLASSES)))
    parts = divide(source, val_fraction=0.1, test_fraction=0.2, seed=0)
    folds = [{source.key(i).split("/")[0] for i in part.tolist()} for part in (parts.train, parts.val, parts.test)]
    assert folds[2] == {"fold3"} and sorted(map(len, folds)) == [1, 1, 1] and len(set().union(*folds)) == 3


def test_missing_fold_is_named(write):
    with pytest.raises(ConfigError, match="one of fold1, fold2, fold3. .*set: received 'fold9'"):
        open_source(write(*product(("fold1", "fold2", "fold3"), CLASSES)), test_fold="fold9")


def test_options_of_folders_are_refused_elsewhere(write, tmp_path):
    root = write(*CLASSES)
    with pytest.raises(
        ConfigError, match=r"folders called fold1.*Received: 1, and .*set has cat, dog\. Remove --data\.test_fold"
    ):
        open_source(root, test_fold=1)
    with pytest.raises(
        ConfigError,
        match=r"must have an effect\. data\.class_level is for class folders\. .*: 2, for .*mnist, .* idx files\. ",
    ):
        open_source("mnist", class_level=2)
    with pytest.raises(ConfigError, match=r"data\.test_fold is for class folders\. .* 2, for a Python object"):
        open_source((np.zeros((2, 4, 4), np.uint8), [0, 1]), test_fold=2)
    digits = tmp_path / "digits"
    for name in ("1_ann_0", "2_ann_0"):
        write_file(digits / f"{name}.wav", 0)
    with pytest.raises(
        ConfigError, match=r"audio files that are named after their class, such as 1_ann_0\.wav, not class folders"
    ):
        open_source(digits, class_level=1)


# What is left beside the data


LEFTOVERS = (
    "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__pycache__", "__MACOSX",
    "_temporary", ".ipynb_checkpoints", ".Trash-1000", ".Trashes", ".@__thumb", "@Recycle", ".cache", ".thumbnails",
    "found.000",
)  # fmt: skip


@pytest.mark.parametrize("modality", SUFFIXES)
def test_folders_that_systems_leave_are_not_classes_and_hold_no_data(write, modality):
    root = write(*CLASSES, modality=modality)
    before = [open_source(root).key(i) for i in range(4)]
    for name in LEFTOVERS:
        write_file(root / name / f"a.{SUFFIXES[modality]}", 7)
        write_file(root / "cat" / name / f"a.{SUFFIXES[modality]}", 7)
    for name in (
        "Thumbs.db",
        "desktop.ini",
        "_SUCCESS",
        ".0.crc",
        "0.crc",
        "set.lock",
        ".DS_Store",
        f"._0.{SUFFIXES[modality]}",
    ):
        (root / "cat" / name).write_bytes(b"x")
    source = open_source(root)
    assert (source.classes, source.notices, num_left_out(source)) == (CLASSES, (), 0)
    assert [source.key(i) for i in range(len(source))] == before


def test_classes_that_sound_like_clutter_stay(write):
    names = ("cache", "recycle", "success", "temporary", "trash")
    assert open_source(write(*names)).classes == names


@pytest.mark.parametrize("modality", SUFFIXES)
def test_read_and_left_out_are_all_files(write, modality):
    root = write(*product(("train", "test"), CLASSES), "val", modality=modality)
    suffix = SUFFIXES[modality]
    for path in (f"loose.{suffix}", f"train/loose.{suffix}", f"test/other.{suffix}"):
        write_file(root / path, 3)
    source = open_source(root)
    assert (
        len(source) + num_left_out(source)
        == len([path for path in root.rglob("*") if path.suffix == f".{suffix}"])
        == 13
    )


def test_links_of_texts_that_are_not_followed_are_counted(write, tmp_path):
    root = write(*CLASSES, modality="text")
    for k in range(3):
        write_file(tmp_path / "elsewhere" / f"{k}.txt", k)
    (root / "cat" / "far").symlink_to(tmp_path / "elsewhere")
    (root / "cat" / "near.txt").symlink_to(tmp_path / "elsewhere" / "0.txt")
    source = open_source(root)
    assert (len(source), num_left_out(source)) == (4, 4)


def test_unlabelled_texts_are_counted(write):
    source = open_source(write(*product(("train",), (*CLASSES, "unsup")), modality="text", count=3))
    assert source.notices == ("folders of texts without a class were skipped: unsup",)
    assert (len(source), num_left_out(source)) == (6, 3)


def test_other_files_among_texts_are_reported(write):
    root = write(*CLASSES, modality="text", count=60)
    (root / "dog" / "z.csv").write_text("a")
    assert open_source(root).notices == ("files other than texts were skipped: 1 .csv",)


def test_class_map_counts_what_it_does_not_name(write):
    root = write("cat", "dog", "ox", count=3)
    (root / "class_map.txt").write_text("dog\ncat\n")
    source = open_source(root)
    assert (source.classes, len(source), num_left_out(source)) == (("dog", "cat"), 6, 3)


def test_class_map_takes_folds(write):
    root = write(*product(("fold1", "fold2", "fold3"), ("cat", "dog", "ox")))
    (root / "class_map.txt").write_text("dog\ncat\n")
    source = open_source(root, test_fold=1)
    assert {key.split("/")[0] for key in files_in(source, "test")} == {"fold1"}
    assert len(source.groups) == len(source) == 12 and num_left_out(source) == 6


def test_empty_class_is_advised_about_by_layout(write):
    root = write(*CLASSES)
    (root / "left").mkdir()
    with pytest.raises(DataError, match=r"first 'left'\. Put files into its folder, or remove the folder\."):
        check_trainable(open_source(root))
    (root / "class_map.txt").write_text("cat\nleft\n")
    with pytest.raises(
        DataError, match=r"first 'left'\. Put images into its folder, or remove its line from class_map"
    ):
        check_trainable(open_source(root))
