import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neocog.cli import main
from neocog.errors import ConfigError
from neocog.files import file_hash
from neocog.offline import predict_files
from neocog.offline.formats import FORMS
from neocog.offline.job import Identity, Job, write_job
from neocog.offline.on_ray import BlockWorker, Computation, import_ray


@pytest.fixture
def computation(scored, tmp_path):
    """A run of the first seven files, of which nothing is done."""
    paths = sorted(map(str, scored.images.rglob("*.png")))[:7]
    identity = Identity(file_hash(scored.bundle), {"--block": 3})
    write_job(tmp_path / "p.parts", paths, 3, identity, {})
    columns = {"file": "string", "class": "string", "probability": "double", "pages": "int32", "error": "string"}
    form = FORMS[".jsonl"](columns, {})
    return Computation(scored.bundle, identity.bundle, "eager", tmp_path / "p.parts", 1, (), form, Path.cwd())


def test_worker_writes_the_blocks_that_it_is_given(computation):
    found = BlockWorker(computation)({"block": np.array([2, 0])})
    job = Job(computation.folder, ".jsonl")
    assert job.done() == {0, 2} and found["files"].tolist() == [1, 3] and found["error"].tolist() == ["", ""]
    rows = [json.loads(line) for line in job.part(0).read_text().splitlines()]
    assert [row["file"] for row in rows] == job.paths(0) and all("class" in row for row in rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bundle_hash": "0"}, "Every node needs the same bundle."),
        ({"started_in": Path("/nowhere")}, "Received: no /nowhere on"),
    ],
)
def test_worker_gives_back_the_error_of_a_node(computation, change, message):
    found = BlockWorker(replace(computation, **change))({"block": np.array([1])})
    assert found["files"].tolist() == [0]
    with pytest.raises(ConfigError, match=message):
        raise ConfigError(found["error"].tolist()[0])


def test_missing_ray_is_an_error_that_says_how_to_get_it(scored, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"--ray needs Ray on every node. .*pip install 'neocog\[scale\]'"):
        import_ray("ray")
    out = tmp_path / "p.jsonl"
    assert main(["predict", str(scored.bundle), str(scored.images), "--out", str(out), "--ray", "local"]) == 2
    assert "--ray needs Ray on every node." in " ".join(capsys.readouterr().err.split())
    assert predict_files(scored.bundle, scored.images, out).computed == 44  # nothing is in the way


@pytest.mark.slow
def test_cluster_of_this_machine_writes_the_same_file(scored, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed")
    alone = predict_files(scored.bundle, scored.images, tmp_path / "a.jsonl", block=5)
    shared = predict_files(scored.bundle, scored.images, tmp_path / "b.jsonl", block=5, ray="local")
    assert shared.computed == 44 and shared.path.read_bytes() == alone.path.read_bytes()
