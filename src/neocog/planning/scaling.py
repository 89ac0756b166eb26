"""A model of scaling: the time of a data-parallel step on many devices, from compute, all-reduce and input.

Each device trains on its own batch, so the global batch grows with the devices (weak scaling). Devices of different
speed and other traffic on the network are not modelled. Every link carries its bandwidth in both directions at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from neocog.errors import ConfigError

__all__ = [
    "Cluster",
    "Job",
    "Link",
    "StepForecast",
    "all_reduce_seconds",
    "bucket_sizes",
    "exposed_seconds",
    "forecast_step",
    "input_seconds",
    "ring_seconds",
    "tree_seconds",
]

MIB = 2**20
FIRST_BUCKET = MIB  # bytes; DistributedDataParallel starts with a small one, so that the first message leaves early
BACKWARD_SHARE = 2 / 3  # of the compute: the gradients of inputs and of weights cost as much as a forward pass each


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """The connection between two neighbours."""

    bandwidth: float
    """Bytes per second in one direction."""
    latency: float
    """Seconds until the first byte of a message arrives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """Nodes of the same kind; `between.bandwidth` is that of a node with all its adapters."""

    per_node: int
    inside: Link
    between: Link
    storage_bandwidth: float = float("inf")
    """Bytes per second that storage delivers to all nodes together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One device's part of a step."""

    compute_seconds: float
    """Forward and backward pass and update, without communication."""
    gradient_bytes: float
    samples: int
    """The batch of one device."""
    sample_bytes: float = 0.0
    """Bytes of a sample in storage; 0: the dataset is in memory."""
    bucket_bytes: float = 25 * MIB


@dataclass(frozen=True, kw_only=True, slots=True)
class StepForecast:
    """A step on N devices, in seconds. `efficiency` is the share of the compute: 1 without waiting."""

    devices: int
    compute: float
    all_reduce: float
    """All messages in sequence, hidden or not."""
    exposed: float
    """The part of the all-reduce that outlasts the backward pass."""
    input: float
    seconds: float
    efficiency: float
    samples_per_second: float


def ring_seconds(num_bytes: float, ranks: int, link: Link) -> float:
    """All-reduce around a ring: each rank sends its n-th share 2(n - 1) times. Bandwidth-optimal.

        t = 2(n - 1)/n * bytes/bandwidth + 2(n - 1) * latency

    Source: Patarasuk & Yuan 2009, Bandwidth optimal all-reduce algorithms for clusters of workstations.

    >>> link = Link(bandwidth=1e9, latency=1e-6)
    >>> ring_seconds(1e9, 1, link), round(ring_seconds(1e9, 4, link), 6)
    (0.0, 1.500006)
    """
    check_ranks(ranks)
    return 2 * (ranks - 1) / ranks * num_bytes / link.bandwidth + 2 * (ranks - 1) * link.latency


def tree_seconds(num_bytes: float, ranks: int, link: Link) -> float:
    """All-reduce up and down two trees, in each of which the other's leaves are inner nodes. Few hops.

        t = 2 * bytes/bandwidth + 2 ceil(log2 n) * latency

    Source: Sanders, Speck & Traff 2009, Two-tree algorithms for full bandwidth broadcast, reduction and scan.

    >>> link = Link(bandwidth=1e9, latency=1e-6)
    >>> tree_seconds(1e9, 1, link), round(tree_seconds(1e9, 1024, link), 6)
    (0.0, 2.00002)
    """
    check_ranks(ranks)
    if ranks == 1:
        return 0.0
    return 2 * num_bytes / link.bandwidth + 2 * (ranks - 1).bit_length() * link.latency


def all_reduce_seconds(num_bytes: float, devices: int, cluster: Cluster) -> float:
    """All-reduce of one message: a ring in each node, and between nodes whichever of ring and tree is faster.

    In a node of g devices the ring's first half leaves each device with the sum of one g-th; these g parts go between
    the m nodes at the same time, one adapter each, which is the whole message at the node's whole bandwidth; the
    ring's second half spreads them.

        t = ring(bytes, g, inside) + min(ring, tree)(bytes, m, between)

    Raises ConfigError if nodes would not be full.
    Source: NCCL's and Horovod's hierarchical all-reduce; Jia et al. 2018, section 5.1.

    >>> fast, slow = Link(bandwidth=2e11, latency=5e-6), Link(bandwidth=2e10, latency=1e-5)
    >>> cluster = Cluster(per_node=8, inside=fast, between=slow)
    >>> [round(1e3 * all_reduce_seconds(1e8, n, cluster), 2) for n in (1, 8, 64, 1024)]
    [0.0, 0.94, 9.84, 11.08]
    """
    per_node = min(devices, cluster.per_node)
    check_ranks(devices)
    if devices % per_node:
        raise ConfigError(
            "Devices must fill their nodes.",
            received=f"{devices} devices with {per_node} in a node",
            fix=f"Use a multiple of {per_node}.",
        )
    nodes = devices // per_node
    over = min(algorithm(num_bytes, nodes, cluster.between) for algorithm in (ring_seconds, tree_seconds))
    return ring_seconds(num_bytes, per_node, cluster.inside) + over


def bucket_sizes(gradient_bytes: float, bucket_bytes: float = 25 * MIB) -> list[float]:
    """The messages of a step in the order in which they leave: a small one first, the rest last.

    Source: Li et al. 2020, PyTorch Distributed, section 3.2.3; torch.distributed's first bucket of 1 MiB.

    >>> [size / MIB for size in bucket_sizes(60 * MIB)]
    [1.0, 25.0, 25.0, 9.0]
    """
    sizes: list[float] = []
    left = gradient_bytes
    while left > 0:
        sizes.append(min(left, bucket_bytes if sizes else min(FIRST_BUCKET, bucket_bytes)))
        left -= sizes[-1]
    return sizes


def exposed_seconds(backward: float, buckets: Sequence[float], all_reduce: Callable[[float], float]) -> float:
    """The part of the all-reduce that outlasts the backward pass, if messages leave as soon as they are full.

        start_k = max(ready_k, end_(k-1)),  end_k = start_k + all_reduce(bucket_k),  exposed = end_last - backward

    Gradients are assumed to arrive evenly over the pass, so that bucket k is ready at the share of bytes up to it; the
    last one is full when everything is computed, and never hidden. In a CNN the largest gradients, those of the last
    stages, come first, which hides a little more. Source: Li et al. 2020, section 3.2.3.

    >>> exposed_seconds(1.0, [5e8, 5e8], lambda num_bytes: num_bytes / 1e10)
    0.05
    >>> exposed_seconds(1.0, [5e8, 5e8], lambda num_bytes: num_bytes / 5e8)
    1.5
    """
    total, ready, end = sum(buckets), 0.0, 0.0
    if not total:
        return 0.0
    for size in buckets:
        ready += size
        end = max(backward * ready / total, end) + all_reduce(size)
    return round(end - backward, 12)  # differences of seconds, to a picosecond


def input_seconds(samples: int, sample_bytes: float, storage_bandwidth: float) -> float:
    """The time that storage takes to deliver one step's samples to all devices.

        t = samples * bytes / bandwidth

    >>> input_seconds(65536, 1.1e5, 1e10)
    0.720896
    """
    return samples * sample_bytes / storage_bandwidth


def forecast_step(job: Job, cluster: Cluster, devices: int) -> StepForecast:
    """One step on N devices; the next batch is read while this one is computed.

        seconds = max(compute + exposed all-reduce, input)

    >>> link = Link(bandwidth=1e10, latency=1e-5)
    >>> job = Job(compute_seconds=0.1, gradient_bytes=1e8, samples=256)
    >>> step = forecast_step(job, Cluster(per_node=1, inside=link, between=link), 64)
    >>> round(step.exposed, 4), round(step.efficiency, 3), round(step.samples_per_second)
    (0.0042, 0.96, 157264)
    """
    buckets = bucket_sizes(job.gradient_bytes, job.bucket_bytes)

    def reduce(num_bytes: float) -> float:
        return all_reduce_seconds(num_bytes, devices, cluster)

    exposed = exposed_seconds(BACKWARD_SHARE * job.compute_seconds, buckets, reduce)
    waited = input_seconds(devices * job.samples, job.sample_bytes, cluster.storage_bandwidth)
    seconds = max(job.compute_seconds + exposed, waited)
    return StepForecast(
        devices=devices,
        compute=job.compute_seconds,
        all_reduce=sum(map(reduce, buckets)),
        exposed=exposed,
        input=waited,
        seconds=seconds,
        efficiency=job.compute_seconds / seconds,
        samples_per_second=devices * job.samples / seconds,
    )


def check_ranks(ranks: int) -> None:
    if ranks < 1:
        raise ConfigError("There must be at least one rank.", received=str(ranks))
