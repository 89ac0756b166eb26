"""The figures of `bench/serve.py` as tables."""

from typing import Any

__all__ = ["as_markdown"]

TARGETS = {"litserve": 1.3, "plain": 2.0}
MOST_OVERHEAD = 1.0  # ms


def as_markdown(result: dict[str, Any]) -> str:
    """The machine, and for each network and backend a table of servers and clients, ratios and overhead."""
    about = result["machine"]
    lines = [
        f"{about['processor']}, {about['cpus']} processors; "
        + ", ".join(f"{name} {version}" for name, version in about["versions"].items()),
        "",
        "Ceiling of the clients, an app that does nothing: "
        + ", ".join(f"{rate:,.0f} requests/s with {clients}" for clients, rate in result["ceiling"].items())
        + ".",
    ]
    for figures in result["figures"]:
        lines += ["", f"### {figures['network']}, {figures['backend']}", "", *engine_lines(figures["alone"]), ""]
        lines += [*server_table(figures["servers"]), "", *ratio_lines(figures["servers"])]
        lines += overhead_lines(figures)
    return "\n".join(lines) + "\n"


def engine_lines(alone: dict[str, Any]) -> list[str]:
    rates = ", ".join(f"{rate:,.0f} at {size}" for size, rate in alone["images/s"].items())
    single, read = alone["p50"], alone["p50 with decoding"]
    return [
        f"Engine alone: {single:.2f} ms for an image, {read:.2f} ms with reading its file; images/s by batch: {rates}."
    ]


def server_table(servers: dict[str, Any]) -> list[str]:
    """A row for each server: requests/s, p50 and p99 for each number of clients."""
    counts = list(next(iter(servers.values())))
    lines = [
        "| server | "
        + " | ".join(f"{count} client{'' if count == '1' else 's'}" for count in counts)
        + " | processor ms | not 200 | wrong |",
        "|---|" + "---|" * (len(counts) + 3),
    ]
    for name, cells in servers.items():
        shown = [f"{cell['rate']:,.0f}/s, {cell['p50']:.2f} / {cell['p99']:.2f} ms" for cell in cells.values()]
        failed = sum(n for cell in cells.values() for status, n in cell["statuses"].items() if status != "200")
        failed += sum(cell["broken"] for cell in cells.values())
        wrong = sum(cell["wrong"] for cell in cells.values())
        busy = " / ".join(f"{cell['processor ms']:.2f}" for cell in cells.values())
        lines.append(f"| {name} | " + " | ".join(shown) + f" | {busy} | {failed} | {wrong} |")
    share = max(cell["own share"] for cells in servers.values() for cell in cells.values())
    return [*lines, "", f"The clients used at most {share:.0%} of a processor."]


def ratio_lines(servers: dict[str, Any]) -> list[str]:
    """Neocog's rate and p99 over those of the better form of each peer, with the target."""
    own = family(servers, "neocog")
    lines = []
    for peer, target in TARGETS.items():
        others = family(servers, peer)
        if not own or not others:
            continue
        cells = []
        for count in next(iter(own.values())):
            mine, other = best(own, count), best(others, count)
            ratio, tail = mine["rate"] / other["rate"], mine["p99"] / other["p99"]
            met = ratio >= target and tail <= 1
            cells.append(f"{count}: {ratio:.2f} (p99 {tail:.2f}){'' if met else ' MISSED'}")
        lines.append(f"- Rate over {peer}, by clients, at least {target}: " + ", ".join(cells))
    return lines


def overhead_lines(figures: dict[str, Any]) -> list[str]:
    """A lone client's latency less the engine's."""
    lines = []
    for name, cells in figures["servers"].items():
        if "1" in cells:
            overhead = cells["1"]["p50"] - figures["alone"]["p50"]
            missed = " MISSED" if name == "neocog" and overhead > MOST_OVERHEAD else ""
            lines.append(f"- Overhead of {name} at p50, one client: {overhead:.2f} ms{missed}")
    return lines


def family(servers: dict[str, Any], name: str) -> dict[str, Any]:
    """The forms of a server: those whose name begins with this one."""
    return {key: cells for key, cells in servers.items() if key.partition("-")[0] == name}


def best(forms: dict[str, Any], count: str) -> dict[str, Any]:
    """The figures of the form with the highest rate."""
    return max((cells[count] for cells in forms.values()), key=lambda cell: float(cell["rate"]))
