"""`neocog.export`: a bundle as files for other engines, kept only if they compute what the bundle does."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from neocog.bundle import Predictor, load
from neocog.errors import ConfigError, DataError, ExportError
from neocog.exporting.gate import check_export
from neocog.exporting.gate_report import FLOAT, INT8, GateReport
from neocog.exporting.manifest import file_entry, interface_of, manifest_of
from neocog.exporting.program import ExportProgram
from neocog.exporting.runner import open_exported
from neocog.exporting.write_files import ENDINGS, Kind, make_onnx, read_openvino, save_onnx, save_openvino, save_torch
from neocog.files.whole import storage_errors, whole_folder, write_whole
from neocog.progress import note
from neocog.runs.config import read_run_config, reading_options
from neocog.runs.evaluate_bundle import Chosen, choose_calibration, choose_validation

if TYPE_CHECKING:
    import onnx

__all__ = ["ExportResult", "export"]

MANIFEST = "manifest.json"
SIGNAL_ONLY = ("rate",)  # read from the bundle when samples are chosen


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The files of an export, all of which passed the gate."""

    folder: Path
    files: tuple[Path, ...]
    """Each network; OpenVINO's weights lie beside its .xml file."""
    reports: Mapping[str, GateReport]
    """By the name of the file."""
    manifest: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "files": [each.name for each in self.files],
            "manifest": dict(self.manifest),
        }


def export(
    bundle: str | Path,
    *,
    to: Kind | str | Sequence[Kind] = "onnx",
    out: str | Path | None = None,
    data: object = None,
    int8: bool = False,
    threads: int | None = None,
    **reading: Any,
) -> ExportResult:
    """Write a bundle as ONNX, OpenVINO IR or a torch.export archive, and compare each file with the bundle.

    `to` is onnx, openvino, torch, several of them, or all. Preprocessing and decoding are part of the graph. Each file
    is run by its engine on validation data: those of `data`, read as in `neocog.evaluate`, or the data set of the run
    that the bundle lies in. `int8` adds a quantised form of ONNX and OpenVINO files, calibrated on training data.
    Everything is written to a temporary folder, which becomes `out` if all files pass; by default a folder beside the
    bundle.
    Raises ExportError if a file computes something else, DataError if there are no data, ConfigError for a choice that
    does not exist or a missing package, StorageError if the system refuses to write. Nothing is left behind then.
    """
    kinds, bundle = kinds_of(to, int8=int8), Path(bundle)
    need_packages(kinds, int8=int8)
    predictor = load(bundle)
    target = bundle.with_name(f"{bundle.stem}-export") if out is None else Path(out)
    check_target(target)
    program = ExportProgram(predictor)
    opened, samples = open_data(bundle, predictor, data, reading)
    with new_folder(target) as folder:
        work = Work(predictor, program, bundle, folder, opened, samples, threads)
        work.write(kinds, int8=int8)
        files = {path.name: file_entry(path, work.precision(path), work.reports[path.name].to_json())
                 for path in work.files}  # fmt: skip
        manifest = manifest_of(predictor, work.interface, bundle, files)
        write_whole(folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    paths = tuple(target / path.name for path in work.files)
    return ExportResult(target, paths, work.reports, manifest)


@dataclass(frozen=True, slots=True)
class OpenedData:
    """A data set as it was named, and how it is read."""

    data: Any
    reading: dict[str, Any]


@dataclass(slots=True)
class Work:
    """One export on its way."""

    predictor: Predictor
    program: ExportProgram
    bundle: Path
    folder: Path
    opened: OpenedData
    samples: Chosen
    threads: int | None
    files: list[Path] = field(default_factory=list)
    reports: dict[str, GateReport] = field(default_factory=dict)
    interface: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.interface = interface_of(self.program, self.predictor, self.bundle)

    def write(self, kinds: Sequence[Kind], *, int8: bool) -> None:
        """Write each kind of file, and compare it. Raises ExportError for the first that computes something else."""
        wanted = dict.fromkeys(kinds)
        proto = make_onnx(self.program) if wanted.keys() - {"torch"} else None
        if proto is not None:
            self.write_graphs(proto, wanted, int8=int8)
        if "torch" in wanted:
            path = self.path("torch")
            save_torch(self.program, path, self.interface)
            self.check(path, int8=False)

    def write_graphs(self, proto: "onnx.ModelProto", wanted: Mapping[Kind, None], *, int8: bool) -> None:
        plain = self.path("onnx")
        save_onnx(proto, plain, self.interface)
        if "onnx" in wanted:
            self.check(plain, int8=False)
        if "openvino" in wanted:
            path = self.path("openvino")
            save_openvino(read_openvino(plain), path, self.interface)
            self.check(path, int8=False)
        if int8:
            self.write_int8(proto, wanted, plain)
        if "onnx" not in wanted:
            plain.unlink()

    def write_int8(self, proto: "onnx.ModelProto", wanted: Mapping[Kind, None], plain: Path) -> None:
        from neocog.exporting.quantise import (
            Measure,
            calibration_arrays,
            network_nodes,
            quantise_onnx,
            quantise_openvino,
        )  # fmt: skip

        note("Quantising to int8 on training data")
        training = choose_calibration(self.predictor, self.opened.data, **self.opened.reading)
        calibration = calibration_arrays(self.predictor, training)
        measure, only = Measure(self.predictor, self.samples), network_nodes(proto)
        if "onnx" in wanted:
            path, before = self.path("onnx", "-int8"), measure(open_exported(plain, threads=self.threads))

            def drop(made: "onnx.ModelProto") -> float:
                save_onnx(made, path, self.interface)
                return before - measure(open_exported(path, threads=self.threads))

            save_onnx(quantise_onnx(proto, calibration, only=only, drop=drop), path, self.interface)
            self.check(path, int8=True)
        if "openvino" in wanted:
            path = self.path("openvino", "-int8")
            made = quantise_openvino(read_openvino(plain), calibration, only=only, measure=measure)
            save_openvino(made, path, self.interface)
            self.check(path, int8=True)

    def path(self, kind: Kind, suffix: str = "") -> Path:
        return self.folder / f"{self.bundle.stem}{suffix}{ENDINGS[kind]}"

    def precision(self, path: Path) -> str:
        return self.reports[path.name].tolerance.name.replace("float", "float32")

    def check(self, path: Path, *, int8: bool) -> None:
        """Run a file beside the bundle. Raises ExportError if they differ by more than the tolerance."""
        exported = open_exported(path, threads=self.threads)
        report = check_export(
            self.predictor, exported, self.samples, INT8 if int8 else FLOAT, manifest=exported.interface
        )
        for line in (path.name, *report.lines()):
            note(line)
        if not report.passed:
            raise ExportError(
                f"{path.name} does not compute what {self.bundle.name} does, so nothing was written.",
                received=report.refusal(), where=report.engine, report=report,
            )  # fmt: skip
        self.files.append(path)
        self.reports[path.name] = report


def kinds_of(to: Kind | str | Sequence[Kind], *, int8: bool) -> tuple[Kind, ...]:
    """The kinds of files that are asked for, in their order. Raises ConfigError for another word."""
    known = get_args(Kind)
    named = known if to == "all" else (to,) if isinstance(to, str) else tuple(to)
    if not named or not set(named) <= set(known):
        raise ConfigError(
            f"An export is written to {', '.join(known)} or all.", received=", ".join(map(str, named)) or "nothing"
        )
    if int8 and set(named) == {"torch"}:
        raise ConfigError(
            "int8 is for ONNX and OpenVINO files.",
            received="int8 for torch",
            fix="Add onnx or openvino, or leave int8 out.",
        )
    return tuple(kind for kind in known if kind in named)


def need_packages(kinds: Sequence[Kind], *, int8: bool) -> None:
    """Raises ConfigError if a package is missing that writes or runs these files."""
    try:
        if set(kinds) - {"torch"}:
            import onnx  # noqa: F401
            import onnxscript  # noqa: F401
        if "onnx" in kinds:
            import onnxruntime  # noqa: F401
        if "openvino" in kinds:
            import openvino  # noqa: F401
        if int8 and "openvino" in kinds:
            import nncf  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Exporting needs further packages.", received=f"no module {error.name}",
            fix="Install them: pip install 'neocog[export]'",
        ) from error  # fmt: skip


def check_target(target: Path) -> None:
    """Raises ConfigError for an output folder that holds something else than an earlier export."""
    if target.is_dir() and (not any(target.iterdir()) or is_export(target)):
        return
    if target.exists():
        raise ConfigError(
            "An export is written to a new folder, or over an earlier export.", received=f"{target}, which exists",
            fix="Choose another folder with -o.",
        )  # fmt: skip


def is_export(folder: Path) -> bool:
    """Whether a folder holds an earlier export."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and str(found.get("written by", "")).startswith("neocog ")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside the target, which takes its place at the end, or vanishes."""
    with whole_folder(target) as folder:
        yield folder
        if target.exists() and is_export(target):
            with storage_errors(target):
                shutil.rmtree(target)


def open_data(
    bundle: Path, predictor: Predictor, data: object, reading: Mapping[str, Any]
) -> tuple[OpenedData, Chosen]:
    """The data to compare on, as named or those of the run that the bundle lies in, and their validation samples.

    Raises DataError if they are not named, or gone.
    """
    if data is not None:
        return OpenedData(data, dict(reading)), choose_validation(predictor, data, **dict(reading))
    config_path, name = bundle.resolve().parent / "config.yaml", predictor.manifest.get("data", {}).get("name")
    fix = "Name the data set: neocog export BUNDLE --data DATA."
    if not config_path.is_file():
        raise DataError(
            "An export is compared with its bundle on validation data, and a bundle doesn't say where its data are.",
            received=f"a bundle outside of its run, trained on {name}" if name else "a bundle outside of its run",
            where=str(bundle), fix=fix,
        )  # fmt: skip
    config = read_run_config(config_path).config
    options = {key: value for key, value in reading_options(config).items() if key not in SIGNAL_ONLY}
    opened = OpenedData(config.data.source, {**options, "skip_list": config.data.skip_list, **reading})
    try:
        return opened, choose_validation(predictor, opened.data, **opened.reading)
    except DataError as error:
        raise DataError(
            f"The data of this run can't be read again. {error.rule}", received=error.received or config.data.source,
            where=error.where, fix=fix,
        ) from error  # fmt: skip
