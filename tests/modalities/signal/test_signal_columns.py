import numpy as np
import pandas as pd
import pytest

from neocog.data import divide, open_source
from neocog.errors import ConfigError, DataError
from neocog.modalities.signal.csv_windows import is_csv_windows, open_csv_windows
from neocog.modalities.signal.signal_columns import hint
from neocog.modalities.signal.signal_folder import is_signal_folder, open_signal_folder

ROWS = 120
GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.normal(size=(2, ROWS)).round(3)
COUNT = np.arange(ROWS)
LABELS = np.where(COUNT // 20 % 2, "walk", "sit")


def recording(tmp_path, **columns):
    """A recording as pandas writes it; a column is called as its name with spaces for underscores at its ends."""
    table = pd.DataFrame({"time": COUNT / 50, **columns, "label": LABELS})
    table.to_csv(tmp_path / "long.csv", index=False)
    return tmp_path / "long.csv"


def channels_of(path, **options):
    source = open_csv_windows(path, window=10, **options)
    return source.channel_names, " | ".join(source.notices)


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("Unnamed: 0", COUNT, "counts the rows"),
        ("Unnamed: 0", COUNT[::-1], "counts the rows"),  # whatever pandas' index held, it was not measured
        ("index", COUNT + 5000, "counts the rows"),
        ("index", np.r_[COUNT[:60], COUNT[:60]], "counts the rows"),  # two recordings, one behind the other
        ("Row", COUNT * 2, "counts the rows"),
        ("id", COUNT, "counts up"),
        ("id", GENERATOR.permutation(ROWS), "an id"),
        ("event_id", [f"e{k}" for k in COUNT], "a group|names the rows|an id"),
        ("frame_no", COUNT + COUNT // 7, "counts up"),  # frames that were lost
        ("SampleIndex", COUNT, "counts up"),
        ("packet counter", np.r_[COUNT[:60], COUNT[:60]], "counts up"),
        ("n", COUNT + 1, "counts up"),
        ("#", COUNT, "counts up"),
        ("subject_id", COUNT // 30, "a group"),
        ("Subject", [f"S{k // 30:02}" for k in COUNT], "a group"),
        ("patientID", COUNT // 60, "a group"),
        ("user", COUNT * 0 + 7, "a group"),
        ("session", COUNT // 40, "a group"),
        ("device_id", COUNT // 60, "a group"),
        ("timestamp_ms", COUNT * 20, "another time"),
        ("epoch", COUNT // 30, "another time"),
        ("cycle", COUNT % 60, "counts up"),
        ("trial_no", COUNT // 30, "a group"),
        ("elapsed", COUNT * 0.02, "another time"),
        ("date", ["2024-03-01"] * ROWS, "another time"),
    ],
)
def test_column_that_counts_or_groups_is_left_out_and_named(tmp_path, name, values, why):
    channels, notices = channels_of(recording(tmp_path, **{name: values}, x=X))
    assert channels == ("x",)
    assert any(f"not channels: {name} ({reason})" in notices for reason in why.split("|")), notices
    assert "to read others, name all channels by --signal.columns" in notices


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("pressure", np.sort(X)),  # rises, and was measured
        ("altitude", COUNT + 100),  # as evenly as a counter
        ("t", np.sort(Y)),  # a temperature
        ("count", np.abs(X * 100).round()),
        ("sample", (X * 1000).round()),  # of a converter
        ("number", np.sort(np.abs(X * 1000).round())),
        ("index", X),  # of air quality
        ("steps", np.cumsum(np.abs(X * 3).round())),
        ("sensor1", X),
        ("group", X),
        ("source", (Y * 10).round()),  # a voltage
        ("seconds_left", COUNT[::-1]),
        ("i", X),
        ("valid", (X > 0).astype(int)),
        ("mid", COUNT // 30),
        ("subjective", (X * 5).round()),
        ("class", (X * 5).round()),
    ],
)
def test_measured_column_stays_a_channel_whatever_its_values(tmp_path, name, values):
    channels, notices = channels_of(recording(tmp_path, **{name: values}, x=X))
    assert channels == (name, "x")
    assert "not channels" not in notices


def test_even_rise_without_a_telling_name_is_reported(tmp_path):
    channels, notices = channels_of(recording(tmp_path, Messung=COUNT, x=X))
    assert channels == ("Messung", "x")
    assert "rising by the same from row to row: Messung; if this only counts, name the other channels" in notices
    assert channels_of(recording(tmp_path, Messung=COUNT, x=X), columns=["x"])[0] == ("x",)


def test_channel_that_is_called_as_labels_are_is_told(tmp_path):
    channels, notices = channels_of(recording(tmp_path, activity=COUNT // 20 % 2, x=X))
    assert channels == ("activity", "x")
    assert "named as labels, and read as channels: activity; if they tell the label" in notices


@pytest.mark.parametrize("index_label", [None, "Unnamed: 0", "index", "row_id", "id"])
def test_index_that_pandas_writes_before_the_time_is_left_out(tmp_path, index_label):
    table = pd.DataFrame({"time": COUNT / 50, "x": X, "label": LABELS})
    table.to_csv(tmp_path / "long.csv", index_label=index_label)
    assert is_csv_windows(tmp_path / "long.csv")
    source = open_source(tmp_path / "long.csv", window=10)
    assert source.channel_names == ("x",)
    np.testing.assert_array_equal(source.read(3).payload[0], X[30:40].astype(np.float32))


@pytest.mark.parametrize(
    "order",
    [
        ["subject", "time", "x", "y", "label"],
        ["time", "x", "y", "label", "subject"],
        ["subject", "label", "time", "x", "y"],  # as WISDM has it
        ["x", "label", "y", "subject", "time"],
    ],
)
def test_times_labels_and_groups_are_found_by_their_names_in_any_order(tmp_path, order):
    subjects = [f"S{k // 30}" for k in COUNT]
    table = pd.DataFrame({"time": COUNT / 50, "x": X, "y": Y, "label": LABELS, "subject": subjects})
    table[order].to_csv(tmp_path / "long.csv", index=False)
    assert is_csv_windows(tmp_path / "long.csv")
    source = open_csv_windows(tmp_path / "long.csv", window=10, rate=50)
    assert (source.channel_names, source.classes) == (("x", "y"), ("sit", "walk"))
    assert source.unused == ("subject",)


def test_windows_of_a_person_stay_in_one_split(tmp_path):
    subjects = np.array([f"S{k}" for k in COUNT // 5 % 8])
    path = recording(tmp_path, subject=subjects, session=COUNT // 5, x=X)
    source = open_csv_windows(path, window=5)
    assert "subject tells 8 groups, and each stays in one split" in source.notices
    whose = subjects[[int(source.key(i)) for i in range(len(source))]]
    parts = divide(source, val_fraction=0.2, test_fraction=0.2, seed=0)
    kept = [set(whose[part]) for part in (parts.train, parts.val, parts.test)]
    assert all(kept) and not (kept[0] & kept[1] or kept[0] & kept[2] or kept[1] & kept[2])


def test_too_few_persons_to_part_leave_stretches_as_groups(tmp_path):
    source = open_csv_windows(recording(tmp_path, subject=COUNT // 60, x=X), window=10)
    assert not any("stays in one split" in notice for notice in source.notices)
    assert len(np.unique(source.groups)) == 6


def test_window_is_of_one_person(tmp_path):
    source = open_csv_windows(recording(tmp_path, subject=(COUNT + 5) // 10, x=X), window=4)
    assert any("or over a change of the label or of subject, were dropped" in notice for notice in source.notices)
    starts = np.array([int(source.key(i)) for i in range(len(source))])
    assert np.array_equal((starts + 5) // 10, (starts + 3 + 5) // 10)
    alternating = recording(tmp_path, subject=COUNT % 2, x=X)
    with pytest.raises(DataError, match="no stretch of 4 samples with one label, one subject and without a gap"):
        open_csv_windows(alternating, window=4)


def test_columns_are_chosen_by_name_in_the_order_that_is_asked_for(tmp_path):
    path = recording(tmp_path, index=COUNT, x=X, y=Y, note=["good"] * ROWS)
    with pytest.raises(
        DataError, match=r"line 2, note: received 'good'.*left out if --signal.columns names the others"
    ):
        open_csv_windows(path, window=10)
    source = open_csv_windows(path, window=10, columns=("y", "index"))
    assert source.channel_names == ("y", "index")
    np.testing.assert_array_equal(source.read(0).payload, np.stack([Y[:10], COUNT[:10]]).astype(np.float32))
    assert "not channels: x (not named by signal.columns), note (not named by signal.columns)" in " ".join(
        source.notices
    )
    with pytest.raises(
        DataError, match=r"signal.columns names columns of the table. .*received z; there are time, index"
    ):
        open_csv_windows(path, window=10, columns=("x", "z"))


def test_table_without_any_channel_says_why(tmp_path):
    message = r"at least one channel.*not channels: index \(counts the rows\).*--signal.columns label"
    with pytest.raises(DataError, match=message):
        open_csv_windows(recording(tmp_path, index=COUNT), window=10)


def test_missing_values_do_not_make_a_group_a_channel(tmp_path):
    subjects = pd.Series(COUNT // 30).astype(float)
    subjects[5] = np.nan
    assert channels_of(recording(tmp_path, subject=subjects, x=X))[0] == ("x",)


def folder(tmp_path, tables):
    for name, table in tables.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(table).to_csv(tmp_path / name, index=False)
    return tmp_path


def test_roles_of_columns_follow_from_all_files_of_a_folder(tmp_path):
    rows = np.arange(10)
    tables = {
        f"{c}/{k}.csv": {"sample": rows * (1 + k), "x": X[:10], "frame": rows + k} for c in "ab" for k in range(3)
    }
    tables["b/9.csv"] = {"sample": [3, 1, 4, 1, 5], "x": X[:5], "frame": np.arange(5)}  # sample is measured
    source = open_signal_folder(folder(tmp_path, tables))
    assert source.channel_names == ("sample", "x")
    assert source.unused == ("frame",)


def test_files_of_one_person_stay_in_one_split(tmp_path):
    tables = {
        f"{c}/{k}.csv": {"subject": [f"S{k // 2}"] * 10, "trial": np.arange(10) // 5, "x": X[:10]}
        for c in "ab"
        for k in range(10)
    }
    source = open_signal_folder(folder(tmp_path, tables))
    assert is_signal_folder(tmp_path)
    assert source.groups.tolist() == [k // 2 for _ in "ab" for k in range(10)]
    assert "subject tells 5 groups, and each stays in one split" in source.notices
    assert "trial changes within a file, so files are not grouped by it" in source.notices
    windows = open_signal_folder(tmp_path, window=5)
    assert windows.groups.tolist() == [k // 2 for _ in "ab" for k in range(10) for _ in range(2)]


def test_columns_of_a_folder_are_chosen(tmp_path):
    tables = {f"{c}/{k}.csv": {"x": X[:9], "y": Y[:9], "label": [c] * 9} for c in "ab" for k in range(2)}
    with pytest.raises(DataError, match="needs no label.*or name the channels: --signal.columns"):
        open_signal_folder(folder(tmp_path, tables))
    source = open_signal_folder(tmp_path, columns=("y",))
    np.testing.assert_array_equal(source.read(0).payload, [Y[:9].astype(np.float32)])


def test_columns_of_what_has_none_are_refused(tmp_path):
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a" / "0.npy", X)
    with pytest.raises(
        ConfigError, match="signal.columns names the columns of tables. Received: x.*arrays without names"
    ):
        open_signal_folder(tmp_path, columns=("x",))
    (tmp_path / "U").mkdir()
    for split in ("TRAIN", "TEST"):
        (tmp_path / "U" / f"U_{split}.tsv").write_text("1\t0.5\t0.6\n2\t0.1\t0.2\n")
    with pytest.raises(ConfigError, match="for .*, which is read as the UCR archive's .tsv files. Remove it"):
        open_source(tmp_path / "U", columns=("x",))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("", "index"), ("Unnamed: 0.1", "index"), ("__index_level_0__", "index"), ("Time [s]", "time"), ("ts", "time"),
        ("Unix Time", "time"), ("seconds_elapsed", "time"), ("acc_timestamp", "time"), ("timestamp(unix)", "time"),
        ("S. No.", "number"), ("SampleNumber", "counter"), ("unit_number", "group"),
        ("rise_time", None), ("UTC_timestamp", "time"), ("date_time", "time"), ("ParticipantID", "group"),
        ("trial number", "group"), ("uuid", "id"), ("grid", None), ("humid", None), ("timer", None), ("tx", None),
        ("frames", "counter"), ("users", "group"), ("acc_x", None), ("rows", None), ("indexed", None),
    ],
)  # fmt: skip
def test_names_that_tell(name, meant):
    assert hint(name) == meant
