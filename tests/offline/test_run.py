import errno
import json
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

import neocog
from neocog.bundle import Failure, load
from neocog.cli import main
from neocog.errors import ConfigError, DataError, RunError, StorageError
from neocog.offline import predict_files
from neocog.offline.claims import RankClaims, place_of, try_lock
from neocog.offline.job import Job
from neocog.offline.score import Scorer
from tests.support.scenes import Scenes
from tests.support.untrained import write_untrained


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out" / "p.jsonl"


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(scored, tmp_path_factory):
    """The output of a run that nothing disturbed."""
    path = tmp_path_factory.mktemp("whole") / "p.jsonl"
    return predict_files(scored.bundle, scored.images, path, block=5), path.read_bytes()


@contextmanager
def stop_after(monkeypatch, count):
    """Ctrl-C when a run writes the block after `count` others."""
    write, left = Job.write, [count]

    def stopped(self, *args):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return write(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Job, "write", stopped)
        yield


@pytest.fixture
def begun(scored, out, monkeypatch):
    """A run that was stopped after three of nine blocks."""
    with (
        stop_after(monkeypatch, 3),
        pytest.raises(
            KeyboardInterrupt, match=r"15 of 44 files are done, in 3 of 9 blocks. The same command continues"
        ),
    ):
        predict_files(scored.bundle, scored.images, out, block=5)
    assert not out.exists()
    return out


def test_each_file_has_one_row_that_equals_the_prediction(scored, whole):
    result, content = whole
    found = [json.loads(line) for line in content.splitlines()]
    predictor = load(scored.bundle)
    paths = sorted(scored.images.rglob("*.png"), key=lambda path: path.parts)
    assert [row["file"] for row in found] == list(map(str, paths)) and len(paths) == 44
    for row, answer in zip(found, predictor.predict_each(paths, 3), strict=True):
        if isinstance(answer, Failure):
            assert row == {"file": answer.name, "error": answer.error}
        else:
            assert row["class"] == answer.class_name and row["probability"] == pytest.approx(
                answer.probability, rel=1e-5
            )
    assert (result.files, result.failed, result.computed, result.joined) == (44, 2, 44, True)
    assert [name for name, _ in result.first] == [row["file"] for row in found if "error" in row]


def test_stopped_run_continues_with_the_blocks_that_are_left(scored, begun, whole, capsys):
    result = predict_files(scored.bundle, scored.images, begun, block=5)
    assert result.computed == 29 and begun.read_bytes() == whole[1]
    assert "Continuing: 3 of 9 blocks are done, 29 of 44 files are left." in capsys.readouterr().err
    assert sorted(path.name for path in begun.parent.iterdir()) == ["p.jsonl", "p.jsonl.json"]


def test_complete_output_is_not_computed_again(scored, begun):
    predict_files(scored.bundle, scored.images, begun, block=5)
    before = begun.stat()
    again = predict_files(scored.bundle, scored.images, begun, block=5)
    assert (again.computed, again.files, again.failed, again.joined) == (0, 44, 2, False)
    assert begun.stat().st_mtime_ns == before.st_mtime_ns


def test_other_settings_are_refused_by_name(scored, begun):
    message = (
        r"continued only with what it began with. .*received --top 1 instead of 3, --with logits instead of none, "
    )
    message += r"--block 7 instead of 5. Repeat the call"
    with pytest.raises(RunError, match=message):
        predict_files(scored.bundle, scored.images, begun, block=7, top=1, extras=["logits"])


def test_other_engine_is_refused(scored, begun, capsys):
    pytest.importorskip("onnxruntime")
    command = ["predict", str(scored.bundle), str(scored.images), "--out", str(begun), "--block", "5"]
    assert main([*command, "--backend", "onnxruntime"]) == 2
    assert "received --backend onnxruntime instead of eager" in " ".join(capsys.readouterr().err.split())


def test_other_bundle_is_refused(scored, begun, tmp_path):
    other = tmp_path / "other.neocog"
    write_untrained(
        other, "lenet5_relu", Scenes("classification"), change=lambda m: next(m.parameters()).data.mul_(1.1)
    )
    with pytest.raises(RunError, match=r"another bundle \(SHA-256 \w{12} instead of \w{12}\)"):
        predict_files(other, scored.images, begun, block=5)


def test_changed_files_are_refused_and_the_first_list_can_be_kept(scored, begun, whole, tmp_path):
    images = tmp_path / "copy"
    shutil.copytree(scored.images, images)
    with pytest.raises(RunError, match="received 44 other files instead of 44"):
        predict_files(scored.bundle, images, begun, block=5)
    added = scored.images / "a" / "added.png"
    shutil.copy(scored.images / "a" / "01.png", added)
    try:
        message = r"received 45 files instead of 44. The first that differs is .*added.png, in the place of .*. "
        message += r"To predict those of the first call, name them with --list (.*files.lst);"
        with pytest.raises(RunError, match=message) as caught:
            predict_files(scored.bundle, scored.images, begun, block=5)
        assert caught.value.where == f"{begun}.parts"
        predict_files(scored.bundle, [], begun, listed=f"{begun}.parts/files.lst", block=5)
    finally:
        added.unlink()
    assert begun.read_bytes() == whole[1]


def test_missing_file_is_named(scored, begun, tmp_path):
    few = tmp_path / "few.txt"
    names = [str(path) for path in sorted(scored.images.rglob("*.png"), key=lambda path: path.parts)]
    few.write_text("\n".join(names[:-1]))
    with pytest.raises(RunError, match=f"43 files instead of 44. The first that is missing is {names[-1]}."):
        predict_files(scored.bundle, [], begun, listed=few, block=5)


def test_restart_discards_what_was_done(scored, begun, whole):
    result = predict_files(scored.bundle, scored.images, begun, top=1, restart=True)
    assert result.computed == 44 and "top" not in rows(begun)[0]


def test_restart_is_refused_while_another_process_works(scored, begun):
    held = try_lock(Path(f"{begun}.parts/locks/00000004"))
    try:
        with pytest.raises(
            RunError, match=r"nobody works on can be restarted. Others hold 1 locks of .*parts. Stop them first"
        ):
            predict_files(scored.bundle, scored.images, begun, restart=True)
    finally:
        held.release()


def test_output_of_another_run_is_not_replaced(scored, out):
    out.parent.mkdir()
    out.write_text("mine")
    message = r"p.jsonl exists, and is not the output of this call. Received: no record of what it was made from, "
    message += r"p.jsonl.json. Choose another --out, or replace it with --restart."
    with pytest.raises(RunError, match=message):
        predict_files(scored.bundle, scored.images, out)
    assert out.read_text() == "mine" and [path.name for path in out.parent.iterdir()] == ["p.jsonl"]
    predict_files(scored.bundle, scored.images, out, restart=True)
    with pytest.raises(RunError, match="--top 1 instead of 3"):
        predict_files(scored.bundle, scored.images, out, top=1)


def test_full_disk_leaves_what_is_done(scored, begun, whole, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("neocog.files.whole.os.fsync", full)
        with pytest.raises(StorageError, match=r"could not be written: No space left on device. .*Free some space."):
            predict_files(scored.bundle, scored.images, begun, block=5)
    assert not [path for path in Path(f"{begun}.parts/done").iterdir() if "part" in path.name]
    predict_files(scored.bundle, scored.images, begun, block=5)
    assert begun.read_bytes() == whole[1]


def test_disk_that_is_full_while_joining_leaves_the_parts(scored, out, whole):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole[1]) - 1, before[1]))  # any part fits, the whole doesn't
    try:
        with pytest.raises(StorageError, match=r"p.jsonl could not be written: File too large. .*Free some space."):
            predict_files(scored.bundle, scored.images, out, block=5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not out.exists()
    result = predict_files(scored.bundle, scored.images, out, block=5)
    assert result.computed == 0 and result.joined and out.read_bytes() == whole[1]


def test_damaged_part_is_found_and_computed_again(scored, begun, whole):
    part = Path(f"{begun}.parts/done/00000001.jsonl")
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(
        RunError, match=r"00000001.jsonl is damaged: .* bytes instead of .* It has been removed. Give the same"
    ):
        predict_files(scored.bundle, scored.images, begun, block=5)
    result = predict_files(scored.bundle, scored.images, begun, block=5)
    assert result.computed == 5 and begun.read_bytes() == whole[1]


def test_state_that_is_not_one_is_an_error(scored, out):
    Path(f"{out}.parts").mkdir(parents=True)
    with pytest.raises(
        RunError, match=r"p.jsonl.parts is not the state of a scoring run of this version: .* Start again"
    ):
        predict_files(scored.bundle, scored.images, out)


def test_what_a_kill_left_while_listing_is_removed(scored, out):
    left = out.parent / ".p.jsonl.parts.0123abcd"
    left.mkdir(parents=True)
    predict_files(scored.bundle, scored.images, out)
    assert not left.exists()


def test_ranks_compute_their_blocks_and_the_first_joins(scored, out, whole, monkeypatch):
    """Rank 1 of 2 is given first: it waits for the list of rank 0, and what it leaves is found."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")

    def first_rank_stops(self, seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("neocog.offline.meter.Meter.wait", first_rank_stops)
        with pytest.raises(KeyboardInterrupt, match="24 of 44 files are done, in 5 of 9 blocks"):
            predict_files(scored.bundle, scored.images, out, block=5)
    monkeypatch.setenv("RANK", "1")
    second = predict_files(scored.bundle, scored.images, out, block=5)
    assert (second.computed, second.joined) == (20, False) and not out.exists()
    with pytest.raises(RunError, match="--top 2 instead of 3"):
        predict_files(scored.bundle, scored.images, out, block=5, top=2)
    monkeypatch.setenv("RANK", "0")
    first = predict_files(scored.bundle, scored.images, out, block=5)
    assert (first.computed, first.failed, first.joined) == (0, 2, True) and out.read_bytes() == whole[1]
    monkeypatch.setenv("RANK", "1")
    assert predict_files(scored.bundle, scored.images, out, block=5).computed == 0  # complete already
    with pytest.raises(
        ConfigError, match=r"Ranks can't restart a run, .*Received: --restart with WORLD_SIZE=2. Remove"
    ):
        predict_files(scored.bundle, scored.images, out, restart=True)


def test_environment_of_a_rank_is_checked():
    assert place_of({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}).local_size == 2
    for environment in ({"RANK": "0"}, {"RANK": "2", "WORLD_SIZE": "2"}, {"RANK": "x", "WORLD_SIZE": "2"}):
        with pytest.raises(
            ConfigError, match=r"RANK is a number below WORLD_SIZE. the environment: received RANK=.*unset both."
        ):
            place_of(environment)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_every_block_belongs_to_one_rank(begun, size):
    job = Job(Path(f"{begun}.parts"), ".jsonl")
    taken = [
        block
        for rank in range(size)
        for block in RankClaims(job, place_of({"RANK": str(rank), "WORLD_SIZE": str(size)})).take()
    ]
    assert sorted(taken) == [3, 4, 5, 6, 7, 8]


def test_settings_that_cannot_be_are_errors(scored, out, tmp_path):
    for message, files, options in (
        (r"Nothing to predict. Name files or folders", [], {}),
        (r"--top must be at least 1. Received: 0", "images", {"top": 0}),
        (r"A block has at least one file. Received: --block 0. Leave it out.", "images", {"block": 0}),
    ):
        with pytest.raises(ConfigError, match=message):
            predict_files(scored.bundle, files, out, **options)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty has no images. Name another folder, or files."):
        predict_files(scored.bundle, tmp_path / "empty", out)
    with pytest.raises(DataError, match=r"must be there. Received: archve/, .*/none.png. Check the paths."):
        predict_files(scored.bundle, ["archve/", scored.images, tmp_path / "none.png"], out)
    with pytest.raises(StorageError, match=r"could not be written: (No such|Permission)"):
        predict_files(scored.bundle, scored.images, "/proc/p.jsonl")
    (tmp_path / "list.txt").write_text("else/a.png\nelse/b.png\n")
    with pytest.raises(
        DataError, match=r"The files of a list must be there. .*list.txt: received else/a.png, else/b.png"
    ):
        predict_files(scored.bundle, [], out, listed=tmp_path / "list.txt")
    assert not out.parent.exists() or not list(out.parent.iterdir())


def test_output_within_the_inputs_is_not_an_input(tmp_path, scored):
    images = tmp_path / "images"
    shutil.copytree(scored.images / "b", images)
    first = predict_files(scored.bundle, images, images / "p.jsonl")
    again = predict_files(scored.bundle, images, images / "p.jsonl")
    assert first.files == again.files == 15 and again.computed == 0


def test_error_that_nobody_expects_fails_one_file(scored, out, monkeypatch):
    predictor = load(scored.bundle)
    decode = type(predictor.preprocess).decode

    def fragile(self, payload, where="the image"):
        if where.endswith("/02.png"):
            raise MemoryError("too large")
        return decode(self, payload, where)

    monkeypatch.setattr(type(predictor.preprocess), "decode", fragile)
    monkeypatch.setattr("neocog.offline.run.load", lambda path, backend: predictor)
    result = predict_files(scored.bundle, scored.images, out)
    assert result.failed == 3
    (row,) = [row for row in rows(out) if row["file"].endswith("/02.png")]
    assert row["error"].endswith("02.png could not be decoded: MemoryError: too large")


def test_block_without_a_readable_file_is_told_at_once(scored, out, tmp_path, capsys):
    (tmp_path / "bad").mkdir()
    for name in "abc":
        (tmp_path / "bad" / f"{name}.png").write_bytes(b"nothing")
    assert predict_files(scored.bundle, tmp_path / "bad", out).failed == 3
    assert "warning: none of the 3 files of a block could be read: Images must be" in capsys.readouterr().err


@pytest.mark.parametrize("size", [1, 20, 700])
def test_few_blocks_are_claimed_ahead(scored, size):
    predictor, asked = load(scored.bundle), []

    def blocks():
        for block in range(6):
            asked.append(block)
            yield block, [str(scored.images / "b" / "00.png")] * size

    scorer = Scorer(predictor, 1, (), threads=2)
    for block, _ in scorer.score(blocks()):
        assert asked[-1] - block <= 2
    assert asked == list(range(6))


def test_command_writes_and_tells(scored, out, capsys):
    assert main(["predict", str(scored.bundle), str(scored.images), "--out", str(out), "--with", "probabilities"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    text = " ".join(said.err.split())
    assert f"{out}: 44 files, in" in text and "2 files could not be read; the column error says why:" in text
    assert "Left out, since they are of other kinds: 1 .txt." in text
    assert "06.png: received a truncated" in text and "07x.png: received a file that is not an image" in text
    assert len(rows(out)[0]["probabilities"]) == 2
    assert main(["predict", str(scored.bundle), str(scored.images), "--out", str(out), "--with", "probabilities"]) == 2
    text = " ".join(capsys.readouterr().err.split())
    assert f"{out} is complete: 44 files. Nothing was left to do. 2 files could not be read" in text


def test_command_of_a_rank_says_nothing_and_ends_well(scored, out, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    command = ["predict", str(scored.bundle), str(scored.images), "--out", str(out)]
    with monkeypatch.context() as patch:
        patch.setenv("RANK", "0")
        assert main(command) == 0  # a single block
        assert "2 files could not be read" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setenv("RANK", "1")
    assert main(command) == 0
    assert capsys.readouterr() == ("", "")


def test_command_refuses_flags_of_other_outputs(scored, out, capsys):
    def error(*arguments):
        assert main(["predict", str(scored.bundle), *arguments]) == 2
        return " ".join(capsys.readouterr().err.split())

    images = str(scored.images)
    assert "Received: --out and --json --window. Leave" in error(images, "--out", str(out), "--json", "--window", "2s")
    assert "--list --block without --out. Add --out predictions.parquet" in error(images, "--list", "x", "--block", "3")
    assert "--out is for files, which can be read again. Received: standard input." in error("-", "--out", str(out))
    assert "Unknown option: --blocks. Did you mean '--block'?" in error(images, "--blocks", "--out", str(out))


def test_ctrl_c_in_the_command_says_how_to_continue(scored, out, monkeypatch, capsys):
    with stop_after(monkeypatch, 2):
        assert main(["predict", str(scored.bundle), str(scored.images), "--out", str(out), "--block", "5"]) == 130
    assert "Stopped. 10 of 44 files are done, in 2 of 9 blocks. The same command continues." in " ".join(
        capsys.readouterr().err.split()
    )


def test_public_function_is_the_one_of_the_package():
    assert neocog.predict_files is predict_files
