import pytest

from neocog.dataset.split_names import split_meant, split_written, splits_meant

TRAIN = """
train TRAIN Train Training training_set train-set trainset TrainSet train_images images_train imagesTrain TRAINImages
seg_train train2017 train_2017 01_train train_resized train_data traindata trn X_train dataset_train trainval train_val
Trainingsdaten entra\u00eenement entrenamiento \u8bad\u7ec3\u96c6
"""
VAL = """
val VAL valid Validation val2017 validation_set val-images vld dev dev_set Validierung validaci\u00f3n valset
"""
TEST = """
test Test Testing testing_set seg_test test2017 test_images 02_test tst holdout hold-out hold_out HeldOut eval
evaluation Testdaten prueba testset tests
"""
OTHERS = """
cat trainers trainer testudo testament attest contest latest valley evaluator devil device development constrain
train_station bullet-train blood_test crashTest Testing_equipment test_tube valid_passport train_test test_val rest
invalid 2017 fold1 images set trains
"""
NAMED = [(split, name) for split, names in (("train", TRAIN), ("val", VAL), ("test", TEST)) for name in names.split()]


@pytest.mark.parametrize(("split", "name"), NAMED)
def test_split_is_known_by_the_words_of_its_name(split, name):
    assert split_meant(name) == split


@pytest.mark.parametrize("name", OTHERS.split())
def test_name_with_other_words_is_not_a_split(name):
    assert split_meant(name) is None


def test_siblings_show_what_other_words_mean():
    assert splits_meant(["asl_train", "asl_test"]) == {"asl_train": "train", "asl_test": "test"}
    assert splits_meant(["fruits-360_Training", "fruits-360_Validation", "cat"]) == {
        "fruits-360_Training": "train", "fruits-360_Validation": "val",
    }  # fmt: skip
    assert splits_meant(["train_station", "bus_station", "blood_test"]) == {}
    assert splits_meant(["pre_test", "post_test"]) == {}


def test_evaluation_is_the_test_unless_there_is_another():
    assert splits_meant(["training", "validation", "evaluation"])["evaluation"] == "test"
    assert splits_meant(["train", "eval", "test"]) == {"train": "train", "eval": "val", "test": "test"}


def test_value_of_a_table_that_may_be_either_split_is_none():
    assert [split_written(value) for value in ("training", " Validation", "TEST", "dev", "eval", None, 1)] == [
        "train", "val", "test", "val", None, None, None,
    ]  # fmt: skip
