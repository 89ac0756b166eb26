"""`neocog export`: files that other programs read, a manifest beside them, and nothing left behind by a failure."""

import errno
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import neocog
from neocog.bundle.interface import answer_tensors
from neocog.cli.app import main
from neocog.errors import BundleError, ConfigError, DataError, ExportError, StorageError
from neocog.exporting import export as export_module
from neocog.exporting.export import ExportResult, export
from neocog.exporting.gate_report import Check
from neocog.exporting.runner import open_exported
from neocog.files.whole import storage_errors
from tests.support.untrained import write_untrained

SIDE = 32


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, and a folder with twelve images of two classes."""
    folder = tmp_path_factory.mktemp("export")
    generator = np.random.default_rng(0)
    for split, num in (("train", 4), ("val", 4), ("test", 2)):
        for name in ("a", "b"):
            (folder / "images" / split / name).mkdir(parents=True)
            for i in range(num):
                pixels = generator.integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / "images" / split / name / f"{i}.png")
    source = neocog.open_source(folder / "images")
    write_untrained(folder / "model.neocog", "lenet5_relu", source, (SIDE, SIDE))
    return folder


@pytest.fixture(scope="module")
def shipped(home: Path) -> ExportResult:
    return export(home / "model.neocog", to="all", out=home / "shipped", data=home / "images", threads=1)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)


def test_export_writes_a_file_for_each_engine(shipped: ExportResult) -> None:
    names = sorted(path.name for path in shipped.folder.iterdir())
    assert names == ["manifest.json", "model.bin", "model.onnx", "model.pt2", "model.xml"]
    assert [path.name for path in shipped.files] == ["model.onnx", "model.xml", "model.pt2"]
    assert all(report.passed and report.count == 8 for report in shipped.reports.values())
    assert [report.engine.split()[0] for report in shipped.reports.values()] == ["ONNX", "OpenVINO", "PyTorch"]


@pytest.mark.parametrize("ending", [".onnx", ".xml", ".pt2"])
def test_opened_file_computes_what_the_predictor_does(home: Path, shipped: ExportResult, ending: str) -> None:
    predictor = neocog.load(home / "model.neocog")
    exported = open_exported(shipped.folder / f"model{ending}", threads=1)
    assert [spec.to_json() for spec in exported.outputs] == [spec.to_json() for spec in predictor.task.tensor_specs]
    for shape in ((2, SIDE, SIDE, 1), (1, 31, 17, 1), (3, 90, 20, 1), (1, 1, 1, 1)):
        images = noise(*shape)
        for name, values in answer_tensors(predictor, images).items():
            found = exported(images)[name]
            assert found.dtype == values.dtype
            np.testing.assert_allclose(found, values, rtol=1e-3, atol=1e-3)


def test_files_say_nothing_of_this_machine(home: Path, shipped: ExportResult) -> None:
    for path in shipped.folder.iterdir():
        content = path.read_bytes()
        assert str(home).encode() not in content, path.name
        assert str(Path(neocog.__file__).parent).encode() not in content, path.name


def test_manifest_describes_the_files(home: Path, shipped: ExportResult) -> None:
    manifest = json.loads((shipped.folder / "manifest.json").read_text())
    assert manifest["task"] == "classification"
    assert manifest["classes"] == ["a", "b"]
    assert manifest["inputs"][0] == {
        "name": "images", "dtype": "uint8", "shape": [None, None, None, 1],
        "meaning": "Decoded, upright images, grey, 0 to 255, of one size that may be any.",
    }  # fmt: skip
    assert [row["name"] for row in manifest["outputs"]] == ["logits", "probabilities"]
    assert "EXIF" in manifest["before the graph"][0]
    assert "DCT scaling" in manifest["before the graph"][1]
    assert "stretched to 32 x 32" in manifest["in the graph"][0]
    assert manifest["opset"] == 20
    assert manifest["files"]["model.onnx"]["gate"]["passed"]
    assert manifest["bundle"]["name"] == "model.neocog"
    assert len(manifest["bundle"]["sha256"]) == 64
    assert {"torch", "onnxruntime", "openvino", "python"} <= manifest["versions"].keys()
    assert shipped.to_json()["files"] == ["model.onnx", "model.xml", "model.pt2"]


def test_example_of_the_manifest_runs_with_onnxruntime_alone(
    home: Path, shipped: ExportResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = json.loads((shipped.folder / "manifest.json").read_text())["example"]
    assert len(lines) < 12
    assert "neocog" not in "\n".join(lines)
    pixels = noise(40, 50)
    Image.fromarray(pixels).save(shipped.folder / "image.png")
    monkeypatch.chdir(shipped.folder)
    found: dict[str, Any] = {}
    try:
        exec("\n".join(lines), found)
    finally:
        (shipped.folder / "image.png").unlink()
    expected = answer_tensors(neocog.load(home / "model.neocog"), pixels[None, :, :, None])["probabilities"]
    np.testing.assert_allclose(found["outputs"]["probabilities"], expected, rtol=1e-4, atol=1e-5)
    assert capsys.readouterr().out.startswith("logits (1, 2)")


def test_archive_is_loaded_by_torch_alone(shipped: ExportResult) -> None:
    code = (
        "import sys; sys.modules['neocog'] = None\n"
        "import torch\n"
        f"network = torch.export.load({str(shipped.folder / 'model.pt2')!r}).module()\n"
        "print(*network(torch.zeros(1, 9, 40, 1, dtype=torch.uint8))[1].shape)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["1", "2"], ran.stderr


def test_earlier_export_is_replaced(home: Path, shipped: ExportResult, tmp_path: Path) -> None:
    shutil.copytree(shipped.folder, tmp_path / "again")
    (tmp_path / "again" / "model.xml").write_text("old")
    export(home / "model.neocog", to="torch", out=tmp_path / "again", data=home / "images")
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["manifest.json", "model.pt2"]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.fixture
def quick(home: Path, monkeypatch: pytest.MonkeyPatch, shipped: ExportResult) -> Path:
    """Writing an archive copies one that is there, so that failures after it are cheap."""
    archive = shipped.folder / "model.pt2"
    monkeypatch.setattr(export_module, "save_torch", lambda program, path, interface: shutil.copy(archive, path))
    return home


def run(home: Path, out: Path, **options: Any) -> ExportResult:
    return export(home / "model.neocog", **{"to": "torch", "out": out, "data": home / "images", **options})


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(*args: Any, **options: Any) -> Any:
        report = original(*args, **options)
        check = Check("metric", False, "accuracy 90% -> 10%", "0.05 points", "Advice.")
        return replace(report, checks=(*report.checks, check))

    original = export_module.check_export
    monkeypatch.setattr(export_module, "check_export", failed)


def test_refused_export_leaves_nothing(quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch)
    with pytest.raises(ExportError, match=r"model.pt2 does not compute what model.neocog does, so nothing") as caught:
        run(quick, tmp_path / "out")
    assert "metric: accuracy 90% -> 10% (allowed: 0.05 points). Advice." in str(caught.value)
    assert not caught.value.report.passed  # type: ignore[attr-defined]
    assert not list(tmp_path.iterdir())


def test_command_ends_with_3_if_the_gate_refuses(
    quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(monkeypatch)
    code = main(["export", str(quick / "model.neocog"), "--to", "torch", "--data", str(quick / "images"),
                 "-o", str(tmp_path / "out")])  # fmt: skip
    told = capsys.readouterr()
    assert code == 3
    assert "FAILED" in told.err
    assert "error: model.pt2 does not compute" in told.err
    assert not list(tmp_path.iterdir())


def test_command_prints_files_or_json(quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", str(quick / "model.neocog"), "--to", "torch", "--data", str(quick / "images")]
    assert main([*arguments, "-o", str(tmp_path / "one")]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "one" / name) for name in ("model.pt2", "manifest.json")]
    assert main([*arguments, "-o", str(tmp_path / "two"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["model.pt2"]


def test_interrupt_and_full_disk_leave_nothing(quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    def full(program: Any, path: Path, interface: Any) -> None:
        with storage_errors(path):
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(export_module, "check_export", interrupted)
        run(quick, tmp_path / "out")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(export_module, "save_torch", full)
    with pytest.raises(StorageError, match=r"model.pt2 could not be written: No space left.*Free some space"):
        run(quick, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_folder_with_something_else_is_left_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"to a new folder, or over an earlier export.*which exists.*with -o"):
        run(home, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_bundle_outside_of_its_run_needs_data(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"doesn't say where its data are.*--data DATA"):
        run(home, tmp_path / "out", data=None)
    shutil.copy(home / "model.neocog", tmp_path / "model.neocog")
    (tmp_path / "config.yaml").write_text("data:\n  source: /nowhere/images\n")
    with pytest.raises(DataError, match=r"data of this run can't be read again.*--data DATA"):
        export(tmp_path / "model.neocog", out=tmp_path / "out")


def test_data_of_the_run_are_found(quick: Path, tmp_path: Path) -> None:
    shutil.copy(quick / "model.neocog", tmp_path / "model.neocog")
    (tmp_path / "config.yaml").write_text(f"data:\n  source: {quick / 'images'}\n")
    found = export(tmp_path / "model.neocog", to="torch")
    assert found.folder == tmp_path / "model-export"
    assert found.reports["model.pt2"].split == "val"


def test_unknown_kinds_are_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"written to onnx, openvino, torch or all.*coreml"):
        run(home, tmp_path / "out", to="coreml")
    with pytest.raises(ConfigError, match=r"int8 is for ONNX and OpenVINO files.*Add onnx or openvino"):
        run(home, tmp_path / "out", int8=True)


def test_missing_package_is_named(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r"further packages.*no module onnxscript.*neocog\[export\]"):
        run(home, tmp_path / "out", to="onnx")


def test_other_files_are_refused(tmp_path: Path, shipped: ExportResult) -> None:
    with pytest.raises(ConfigError, match=r"an .onnx, .xml or .pt2 file.*model.neocog"):
        open_exported("model.neocog")
    with pytest.raises(BundleError, match="it is not a file"):
        open_exported(tmp_path / "gone.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(BundleError, match=r"can't be opened: .*Export the network again"):
        open_exported(tmp_path / "bad.onnx")
    import onnx

    proto = onnx.load(shipped.folder / "model.onnx")
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "other.onnx")
    with pytest.raises(BundleError, match=r"was not written by neocog export"):
        open_exported(tmp_path / "other.onnx")


def test_engine_that_is_missing_is_named(shipped: ExportResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ConfigError, match=r"need their engine.*openvino.*neocog\[export\]"):
        open_exported(shipped.folder / "model.xml")
