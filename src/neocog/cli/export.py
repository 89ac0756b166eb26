"""`neocog export`: a bundle as files for ONNX Runtime, OpenVINO and PyTorch, compared with it before they are kept."""

import json as jsonlib
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from neocog.cli.flags import FORMAT, PLAIN, Download, Reading, Switch
from neocog.cli.stdout import write_out
from neocog.progress import note

REFUSED = 3  # exit code of an export that computes something else


def export_bundle(
    bundle: Path,
    *,
    to: Literal["onnx", "openvino", "torch", "all"] = "onnx",
    int8: Switch = False,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"], metavar="DIR")] = None,
    data: str | None = None,
    format: Annotated[str | None, FORMAT] = None,
    reading: Reading = PLAIN,
    json: Switch = False,
    download: Download = False,
) -> int:
    """Write a network as a file for other programs, checked against the bundle.

    neocog export runs/photos-auto-1/model.neocog
    neocog export model.neocog --to all --data photos/ -o shipped/
    neocog export model.neocog --to openvino --int8

    Preprocessing and decoding are part of the file: feed it raw images, signals or
    waveforms, and take probabilities, masks or boxes. Its engine computes validation
    data beside the bundle; if they differ, nothing is written and the exit code is 3.
    manifest.json names inputs, outputs and classes. In Python: neocog.export.

    Parameters
    ----------
    bundle
        A model.neocog file.
    to
        The kind of file: onnx, openvino (an .xml and a .bin file), torch (an archive of torch.export), or all.
    int8
        Add a quantised form for ONNX Runtime or OpenVINO, calibrated on training data.
    out
        A new folder, or that of an earlier export; by default model-export beside the bundle.
    data
        The data to compare on, by name or path; by default those that the run was trained on.
    format
        The layout of the data, if it can be read in two ways.
    json
        Print the folder, the files and the manifest as JSON.
    """
    from neocog.errors import ExportError
    from neocog.exporting.export import export

    options = {"format": format, "download": download, **reading.options()} if data is not None else {}
    try:
        found = export(bundle, to=to, out=out, data=data, int8=int8, **options)
    except ExportError as error:
        note(f"error: {error}")
        return REFUSED
    if json:
        write_out(jsonlib.dumps(found.to_json(), indent=1))
    else:
        write_out("\n".join(str(path) for path in (*found.files, found.folder / "manifest.json")))
    return 0
