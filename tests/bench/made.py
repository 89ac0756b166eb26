"""Results of rows that were made up."""

from typing import Any

__all__ = ["make_result"]

MACHINE = {
    "cpu": "A CPU", "features": ["AVX2"], "cores": 2, "memory_gb": 25, "system": "Linux", "python": "3.11.7",
    "versions": {"neocog": "0.1.0", "timm": None},
}  # fmt: skip


def make_result(name: str, turns: dict[str, list[float]], **other: Any) -> dict[str, Any]:
    return {
        "schema": 1, "name": name, "area": "data", "what": f"work of {name}", "unit": "s", "better": "less",
        "target": None, "limit": None, "bound": False, "turns": turns, "note": "", "absent": {}, "seconds": 12.0,
        "date": "2026-11-29 12:00", "commit": "0123456789",
        "conditions": {"busy_before": 0.0, "others": 0.0, "stolen": 0.0}, "machine": MACHINE,
    } | other  # fmt: skip
