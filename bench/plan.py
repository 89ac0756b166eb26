"""Measure how long planning takes: `python bench/plan.py`. Each network is planned six times in one process; the first
time is listed separately, because torch loads modules then."""

import statistics
import time

import neocog
from neocog.bundle import find_model

NETWORKS = ("lenet5_relu", "vgg16", "resnet50", "resnet152")


def main() -> None:
    for name in NETWORKS:
        found = find_model(name)
        shape = found.input_shape or (3, 224, 224)
        seconds = []
        for _ in range(6):
            begin = time.perf_counter()
            plan = neocog.plan(found.model, shape)
            seconds.append(time.perf_counter() - begin)
        first, *rest = seconds
        print(f"{found.name:12} {len(plan.rows):4} rows  first {first:.2f} s  median {statistics.median(rest):.2f} s")


if __name__ == "__main__":
    main()
