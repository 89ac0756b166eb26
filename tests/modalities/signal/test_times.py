from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from neocog.errors import DataError
from neocog.modalities.signal.csv_windows import is_csv_windows, open_csv_windows
from neocog.modalities.signal.recording import read_recording
from neocog.modalities.signal.signal_folder import is_signal_folder, open_signal_folder
from neocog.modalities.signal.times import NAMED_TIMES, parse_time

START = datetime(2024, 2, 28, 23, 59, 59)  # a midnight and a leap day lie ahead
TIMES = [START + timedelta(milliseconds=20 * k) for k in range(200)]
CET = timezone(timedelta(hours=1))


def write(tmp_path, times, name="timestamp", delimiter=","):
    rows = [delimiter.join([str(time), f"{np.sin(k):.3f}", "ab"[k // 50 % 2]]) for k, time in enumerate(times)]
    (tmp_path / "r.csv").write_text("\n".join([delimiter.join([name, "x", "label"]), *rows]))
    return tmp_path / "r.csv"


@pytest.mark.parametrize(
    "form",
    [
        lambda t: t.isoformat(" ", timespec="milliseconds"),
        lambda t: t.isoformat(timespec="milliseconds") + "Z",
        lambda t: t.isoformat(),  # which leaves a fraction of zero out
        lambda t: t.isoformat(" ") + "+00:00",
        lambda t: t.isoformat(" ", timespec="microseconds") + " UTC",
        lambda t: t.replace(tzinfo=UTC).astimezone(CET).isoformat(),
        lambda t: t.isoformat(" ", timespec="milliseconds") + " -0500",
        lambda t: t.isoformat(timespec="microseconds") + "000",  # nanoseconds
        lambda t: t.strftime("%Y%m%dT%H%M%S.%f"),
        lambda t: t.strftime("%Y/%m/%d %H:%M:%S.%f"),
        lambda t: t.strftime("%H:%M:%S.%f"),
    ],
)
@pytest.mark.parametrize("name", ["timestamp", "Time", "datetime", "date_time"])
def test_dates_and_times_are_read_in_seconds(tmp_path, form, name):
    path = write(tmp_path, map(form, TIMES), name)
    assert is_csv_windows(path)
    source = open_csv_windows(path, window=25, rate=50)
    assert source.channel_names == ("x",)
    assert any("which are read in seconds" in notice for notice in source.notices)
    with pytest.raises(DataError, match=r"steps of 0\.02, which is a rate of 50, and signal\.rate 100"):
        open_csv_windows(path, window=25, rate=100)


def test_seconds_are_those_that_pandas_reads(tmp_path):
    draw = np.random.default_rng(0)
    times = [START + timedelta(microseconds=int(k)) for k in np.cumsum(draw.integers(1, 10**10, 50))]
    texts = [time.isoformat() for time in times]
    found = read_recording(write(tmp_path, texts))[0].times
    expected = pd.to_datetime(pd.Series(texts), format="ISO8601")
    np.testing.assert_allclose(found, (expected - expected[0]).dt.total_seconds(), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "scale", "said"),
    [
        ("timestamp", 1e3, "timestamp is read as milliseconds"),
        ("timestamp", 1e6, "timestamp is read as microseconds"),
        ("ts", 1e9, "ts is read as nanoseconds"),
        ("time", 1, None),
        ("unix_time", 1, None),
    ],
)
def test_numbers_since_1970_are_read_by_their_size(tmp_path, name, scale, said):
    epoch = [(time.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1) for time in TIMES]
    texts = [f"{value:.2f}" for value in epoch] if scale == 1 else [str(round(value * scale)) for value in epoch]
    source = open_csv_windows(write(tmp_path, texts, name), window=25, rate=50)
    assert [notice for notice in source.notices if "is read as" in notice] == ([said] if said else [])


@pytest.mark.parametrize("name", ["time_ms", "Time (ms)", "t [ms]", "elapsed_ms", "milliseconds"])
def test_unit_in_a_name_counts(tmp_path, name):
    source = open_csv_windows(write(tmp_path, range(0, 4000, 20), name), window=25, rate=50)
    assert f"{name} is read as milliseconds" in source.notices


def test_days_are_read_as_dates(tmp_path):
    days = pd.date_range("2023-12-20", periods=200)
    for texts in (days.strftime("%Y-%m-%d"), days.strftime("%Y%m%d")):
        source = open_csv_windows(write(tmp_path, texts, "date"), window=50, rate=1 / 86400)
        assert len(source) == 4  # no gap at the ends of months


def test_gap_is_found_in_dates_too(tmp_path):
    late = [time + timedelta(seconds=k >= 30) for k, time in enumerate(TIMES)]
    source = open_csv_windows(write(tmp_path, late), window=25)
    assert "1 windows over a gap, or over a change of the label, were dropped" in source.notices


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["2024-03-01 10:00:00", "01/03/2024 10:00:01"], r".*line 3, timestamp: received '01/03/2024 10:00:01'"),
        (
            ["01.03.2024 10:00", "01.03.2024 10:01"],
            r".*line 2, timestamp: received '01\.03\.2024 10:00'.*pandas.to_datetime",
        ),
        (["0.00", "2024-03-01 10:00:00"], r"Times are numbers of seconds, or dates and times such as 2024.*line 3"),
        (["2024-03-01 10:00:00", "0.02"], r".*line 3, timestamp: received '0.02'"),
        (["2024-03-01 10:00:00", "2024-03-01 10:00:00.02Z"], "with a time zone or without"),
        (["10:00:00", "2024-03-01 10:00:01"], "Write all with the same parts"),
        (["2024-02-30 10:00:00", "2024-03-01 10:00:00"], "received '2024-02-30 10:00:00'"),
        (["10:00:00 PM", "10:00:01 PM"], "received '10:00:00 PM'"),
        (["2024-03-01 10:00:01", "2024-03-01 10:00:00"], "Times must be numbers that rise"),
        (["10:00:00", "10:00:00", "10:00:00"], "Each row has a time of its own. .*received the same time in rows that"),
        (["2024-03-01 10:00:01", ""], "Times must be numbers that rise"),
    ],
)
def test_other_times_are_refused_with_what_to_write(tmp_path, times, message):
    with pytest.raises(DataError, match=message):
        open_csv_windows(write(tmp_path, times), window=2)


def test_times_that_pandas_writes_without_a_name_are_read(tmp_path):
    table = pd.DataFrame({"x": np.sin(np.arange(200)), "label": list("ab" * 100)}, index=pd.DatetimeIndex(TIMES))
    table["label"] = np.repeat(["a", "b"] * 2, 50)
    table.to_csv(tmp_path / "r.csv")
    assert is_csv_windows(tmp_path / "r.csv")
    source = open_csv_windows(tmp_path / "r.csv", window=25, rate=50)
    assert (source.channel_names, len(source)) == (("x",), 8)


def test_folder_of_tables_with_dates(tmp_path):
    for k, name in enumerate("aabb"):
        (tmp_path / name).mkdir(exist_ok=True)
        rows = [f"{time.isoformat()},{np.sin(i + k):.3f}" for i, time in enumerate(TIMES[:60])]
        (tmp_path / name / f"{k}.csv").write_text("\n".join(["datetime,x", *rows]))
    assert is_signal_folder(tmp_path)
    source = open_signal_folder(tmp_path, window=30, rate=50)
    assert (len(source), source.channel_names) == (8, ("x",))
    assert "datetime holds dates and times, which are read in seconds" in source.notices


@pytest.mark.parametrize(
    "text", ["", "now", "2024", "12.5", "2024-13-01", "25:61:00", "2024-03-01T", "1:2", "٢٠٢٤-03-01"]
)
def test_other_texts_are_not_times(text):
    assert parse_time(text) is None


@pytest.mark.parametrize("name", ["t", "T (s)", "time", "Timestamp", "time stamp", "EpochTime", "local_time_us"])
def test_names_of_times(name):
    assert NAMED_TIMES.fullmatch(name)


@pytest.mark.parametrize("name", ["tx", "timer", "at", "temp", "rate", "update", "lifetime_value", "tms", "th"])
def test_names_of_others(name):
    assert not NAMED_TIMES.fullmatch(name)
