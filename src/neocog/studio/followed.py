"""One unit forward and backward, in the form in which the page lists its numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.explaining.backprop import Flow, Followed

__all__ = ["drawn_unit"]

MOST = 400  # of the numbers of each list that are sent, those of the largest products


def drawn_unit(found: Followed) -> tuple[dict[str, Any], dict[str, Any]]:
    """Lists by descending product: what the unit reads, and what each next layer sends back to it.

    Tensors are `places`, `inputs`, `weights`, `products`, `sent` and `sources` of the reads, and `units0`, `weights0`,
    `deltas0`, ... of the flows from the next layers; the gradient of each weight of the filter is `gradient`.
    """
    order = largest(found.products)
    tensors: dict[str, Any] = {
        "places": found.reads.places[order], "sources": found.reads.sources[order], "inputs": found.inputs[order],
        "weights": found.reads.weights[order], "products": found.products[order], "sent": found.sent_back[order],
    }  # fmt: skip
    if found.weights is not None:
        tensors["gradient"] = found.weights.gradient
    flows = []
    for number, flow in enumerate(found.flows):
        tensors |= flow_tensors(number, flow)
        flows.append({"layer": flow.layer.name, "sum": flow.sum, "count": len(flow.weights)})
    meta = {
        "sum": found.sum, "bias": found.bias, "value": found.value, "delta": found.delta, "count": len(found.inputs),
        "flows": flows,
    }  # fmt: skip
    return tensors, meta


def flow_tensors(number: int, flow: Flow) -> dict[str, Any]:
    order = largest(flow.products)
    return {
        f"units{number}": flow.units[order], f"weights{number}": flow.weights[order],
        f"deltas{number}": flow.deltas[order], f"products{number}": flow.products[order],
    }  # fmt: skip


def largest(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The numbers of the largest absolute values, in descending order."""
    return np.argsort(-np.abs(values), kind="stable")[:MOST]
