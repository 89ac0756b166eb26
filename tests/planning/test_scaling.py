import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import ConfigError
from neocog.planning.scaling import (
    Cluster,
    Job,
    Link,
    all_reduce_seconds,
    bucket_sizes,
    exposed_seconds,
    forecast_step,
    input_seconds,
    ring_seconds,
    tree_seconds,
)

LINK = Link(bandwidth=2e9, latency=3e-6)
ranks_, bytes_ = st.integers(1, 40), st.floats(1, 1e10)


def walked_ring(num_bytes: float, ranks: int, link: Link) -> float:
    """All-reduce walked through: shares go round the ring until every rank has the sum of each. Gives its time."""
    sums = [[{rank} for _ in range(ranks)] for rank in range(ranks)]  # whose part is in rank's share
    seconds = 0.0
    for turn in range(2 * (ranks - 1)):
        sent = [(rank, (rank - turn) % ranks, set(sums[rank][(rank - turn) % ranks])) for rank in range(ranks)]
        for rank, share, parts in sent:
            sums[(rank + 1) % ranks][share] |= parts
        seconds += link.latency + num_bytes / ranks / link.bandwidth
    assert all(share == set(range(ranks)) for shares in sums for share in shares)
    return seconds


@given(bytes_, ranks_)
def test_the_ring_takes_what_walking_it_takes(num_bytes, ranks):
    assert ring_seconds(num_bytes, ranks, LINK) == pytest.approx(walked_ring(num_bytes, ranks, LINK))


@given(ranks_)
def test_the_tree_is_as_deep_as_a_binary_tree(ranks):
    depth, reached = 0, 1
    while reached < ranks:
        depth, reached = depth + 1, 2 * reached
    assert tree_seconds(0.0, ranks, LINK) == pytest.approx(2 * depth * LINK.latency)


def test_the_tree_moves_every_byte_up_and_down():
    assert tree_seconds(6e9, 5, Link(bandwidth=2e9, latency=0.0)) == 6.0


def test_small_messages_take_the_tree_and_large_ones_the_ring():
    cluster = Cluster(per_node=1, inside=LINK, between=LINK)
    assert all_reduce_seconds(100, 32, cluster) == tree_seconds(100, 32, LINK) < ring_seconds(100, 32, LINK)
    assert all_reduce_seconds(1e9, 32, cluster) == ring_seconds(1e9, 32, LINK) < tree_seconds(1e9, 32, LINK)


def test_nodes_are_crossed_by_each_byte_once_whatever_is_inside():
    """By hand: 4 nodes of 2 devices, 8 GB, no latency. Inside: each half out and back. Between: a ring of 4."""
    inside, between = Link(bandwidth=8e9, latency=0.0), Link(bandwidth=4e9, latency=0.0)
    cluster = Cluster(per_node=2, inside=inside, between=between)
    assert all_reduce_seconds(8e9, 8, cluster) == pytest.approx(4 / 8 + 4 / 8 + 2 * 3 * (2 / 4))
    assert all_reduce_seconds(8e9, 2, cluster) == pytest.approx(4 / 8 + 4 / 8)
    assert all_reduce_seconds(8e9, 1, cluster) == 0.0


@given(st.floats(0, 1e9), st.floats(1e5, 1e8))
def test_buckets_hold_all_bytes_and_none_is_too_large(num_bytes, bucket_bytes):
    sizes = bucket_sizes(num_bytes, bucket_bytes)
    assert math.fsum(sizes) == pytest.approx(num_bytes)
    assert all(0 < size <= bucket_bytes for size in sizes)
    assert all(size == bucket_bytes for size in sizes[1:-1])


@given(st.floats(0.01, 10), st.lists(st.floats(1, 1e9), min_size=1, max_size=8), st.floats(1e7, 1e10))
def test_the_end_is_that_of_the_message_from_which_on_the_line_is_busy(backward, sizes, bandwidth):
    """Another form of the same: after some message there is no more pause, so the latest of all such ends counts."""

    def ends(k: int) -> float:
        return backward * sum(sizes[: k + 1]) / sum(sizes) + sum(sizes[k:]) / bandwidth

    exposed = exposed_seconds(backward, sizes, lambda num_bytes: num_bytes / bandwidth)
    assert exposed == pytest.approx(max(map(ends, range(len(sizes)))) - backward, abs=1e-9)
    assert exposed >= sizes[-1] / bandwidth - 1e-9


def test_nothing_to_send_is_nothing_to_wait_for():
    assert exposed_seconds(1.0, [], lambda _: 1.0) == 0.0


def test_a_step_is_never_faster_than_its_input():
    job = Job(compute_seconds=0.1, gradient_bytes=1e8, samples=100, sample_bytes=1e5)
    cluster = Cluster(per_node=4, inside=LINK, between=LINK, storage_bandwidth=1e8)
    step = forecast_step(job, cluster, 8)
    assert step.input == step.seconds == input_seconds(800, 1e5, 1e8) == 0.8
    assert step.efficiency == pytest.approx(0.1 / 0.8)
    assert step.samples_per_second == pytest.approx(1000)


def test_compute_and_what_is_left_of_the_messages_make_a_step():
    """By hand: no latency, 1 GB/s, 2 devices: 50 MiB go in 3 messages of 1, 25 and 24 MiB, each as long as it is."""
    link = Link(bandwidth=2**20 * 1e3, latency=0.0)
    job = Job(compute_seconds=0.06, gradient_bytes=50 * 2**20, samples=10)
    step = forecast_step(job, Cluster(per_node=2, inside=link, between=link), 2)
    assert step.all_reduce == pytest.approx(0.050)
    # Backward takes 40 ms: ready at 0.8, 20.8 and 40 ms; the second ends at 45.8, the third at 69.8.
    assert step.exposed == pytest.approx(0.0298)
    assert step.seconds == pytest.approx(0.0898)
    assert step.efficiency == pytest.approx(60 / 89.8)


def test_one_device_waits_for_no_one():
    job = Job(compute_seconds=0.1, gradient_bytes=1e8, samples=100)
    assert forecast_step(job, Cluster(per_node=8, inside=LINK, between=LINK), 1).efficiency == 1.0


@pytest.mark.parametrize("devices", [0, -1])
def test_there_is_at_least_one_rank(devices):
    with pytest.raises(ConfigError, match=f"at least one rank. Received: {devices}"):
        all_reduce_seconds(1.0, devices, Cluster(per_node=8, inside=LINK, between=LINK))
    with pytest.raises(ConfigError, match="at least one rank"):
        ring_seconds(1.0, devices, LINK)


def test_nodes_are_full():
    with pytest.raises(ConfigError, match="Received: 12 devices with 8 in a node. Use a multiple of 8"):
        all_reduce_seconds(1.0, 12, Cluster(per_node=8, inside=LINK, between=LINK))
