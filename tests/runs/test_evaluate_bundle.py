"""Classes of the data and of a network are matched by name, and by number if only the spelling differs."""

import numpy as np
import pytest

import neocog
from neocog.errors import DataError
from neocog.tasks import Classification


def texts(folder, labels):
    path = folder / "texts.csv"
    path.write_text("text,label\n" + "".join(f"text {k},{label}\n" for k, label in enumerate(labels)))
    return neocog.open_source(path)


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (["2.0", "1.0", "2.0"], ("1", "2"), [1, 0, 1]),
        (["007", "12"], ("7", "12", "30"), [0, 1]),
        (["1", "2"], ("2.0", "1.0"), [1, 0]),
        (["1e1", "x"], ("x", "10"), [1, 0]),
    ],
)
def test_class_spelt_as_another_number_is_matched_by_its_value(tmp_path, capsys, labels, classes, expected):
    source = texts(tmp_path, labels)
    assert Classification(classes).match_targets(source, np.arange(len(source))).tolist() == expected
    spelt = [name for name in source.classes if name not in classes]
    said = capsys.readouterr().err
    assert "Classes of texts are matched by their number: " in said
    assert all(f"'{name}' is '" in said for name in spelt)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["1", "1.0"], ("1", "2")),
        (["007", "07"], ("7", "8")),
        (["01", "2"], ("1", "1.0", "2")),
        (["1_0", "2"], ("10", "2")),
        (["nan", "x"], ("NaN", "x")),
    ],
)
def test_number_of_two_classes_is_not_matched(tmp_path, labels, classes):
    source = texts(tmp_path, labels)
    with pytest.raises(DataError, match="A network can only be evaluated on the classes that it was trained on"):
        Classification(classes).match_targets(source, np.arange(len(source)))
