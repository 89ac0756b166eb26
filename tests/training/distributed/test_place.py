import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import ConfigError
from neocog.training.distributed import Place, find_place, first_host

TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "h", "MASTER_PORT": "29500",
}  # fmt: skip
SLURM = {
    "SLURM_PROCID": "6", "SLURM_NTASKS": "7", "SLURM_LOCALID": "2", "SLURM_JOB_NODELIST": "a[1-2]",
    "SLURM_JOB_ID": "12", "SLURM_NTASKS_PER_NODE": "4", "SLURM_TASKS_PER_NODE": "4,3", "SLURM_NODEID": "1",
}  # fmt: skip


def test_torchrun():
    assert find_place(TORCHRUN) == Place(3, 4, 1, 2, "h", 29500, "torchrun")


def test_torchrun_takes_precedence_over_slurm():
    assert find_place(SLURM | TORCHRUN).launcher == "torchrun"


def test_slurm():
    assert find_place(SLURM) == Place(6, 7, 2, 3, "a1", 15000 + 31 * 12, "SLURM")


def test_slurm_with_steps_on_some_of_the_machines():
    step = {"SLURM_STEP_ID": "5", "SLURM_STEP_NODELIST": "a2", "SLURM_STEP_TASKS_PER_NODE": "7"}
    assert find_place(SLURM | step) == Place(6, 7, 2, 7, "a2", 15000 + 31 * 12 + 5, "SLURM")


def test_an_address_goes_before_slurm_s():
    found = find_place(SLURM | {"MASTER_ADDR": "login", "MASTER_PORT": "4000"})
    assert (found.host, found.port) == ("login", 4000)


@pytest.mark.parametrize("environment", [{}, {"MASTER_ADDR": "h"}, {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}])
def test_alone(environment):
    assert find_place(environment) is None


@pytest.mark.parametrize("name", TORCHRUN)
def test_missing_torchrun_variable_is_named(name):
    environment = {key: value for key, value in TORCHRUN.items() if key != name}
    with pytest.raises(
        ConfigError, match=rf"needs its place from torchrun. Received: no {name}. Start it with torchrun"
    ):
        find_place(environment)


@pytest.mark.parametrize("name", ["SLURM_LOCALID", "SLURM_JOB_NODELIST", "SLURM_JOB_ID"])
def test_missing_slurm_variable_is_named(name):
    environment = {key: value for key, value in SLURM.items() if key != name}
    with pytest.raises(ConfigError, match=rf"needs its place from SLURM. Received: no {name}. Start it with srun"):
        find_place(environment)


def test_a_count_of_tasks_is_needed():
    environment = {key: value for key, value in SLURM.items() if "PER_NODE" not in key}
    with pytest.raises(ConfigError, match="Received: no SLURM_NTASKS_PER_NODE"):
        find_place(environment)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"RANK": "-1"}, "RANK must be a whole number from 0 to 2147483648. Received: '-1'."),
        ({"MASTER_PORT": "70000"}, "MASTER_PORT must be a whole number from 0 to 65535. Received: '70000'."),
        (
            {"RANK": "4"},
            "Variables of torchrun: received rank 4 of 4, on its machine 1 of 2. Start all with one command.",
        ),
        ({"LOCAL_RANK": "2"}, "rank 3 of 4, on its machine 2 of 2."),
        ({"LOCAL_WORLD_SIZE": "5"}, "rank 3 of 4, on its machine 1 of 5."),
    ],
)
def test_inconsistent_variables_are_named(change, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        find_place(TORCHRUN | change)


@pytest.mark.parametrize("text", ["4(x2", "4,,3", "", "4"])
def test_counts_that_can_t_be_read(text):
    environment = SLURM | {"SLURM_TASKS_PER_NODE": text, "SLURM_NODEID": "1"}
    if text == "4":  # of a job whose machines have as many each
        assert find_place(environment).local_size == 4
        return
    with pytest.raises(ConfigError, match=r"SLURM_TASKS_PER_NODE must list the tasks of each machine, as in 4\(x2\),3"):
        find_place(environment)


def test_a_machine_beyond_the_list():
    with pytest.raises(ConfigError, match="Received: '4,3', on machine 2"):
        find_place(SLURM | {"SLURM_NODEID": "2"})


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("node1", "node1"),
        ("node-a.example.org,node-b", "node-a.example.org"),
        ("node[003-005,9]", "node003"),
        ("gpu7,node[1-2]", "gpu7"),
        ("r[1,4]-n[10-12,14]x,s", "r1-n10x"),
    ],
)
def test_first_host(nodes, host):
    assert first_host(nodes) == host


@given(
    st.from_regex(r"[a-z][a-z0-9-]{0,5}", fullmatch=True),
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), min_size=1, max_size=4),
    st.integers(1, 4),
)
def test_first_host_of_any_list_is_the_first_of_all(prefix, ranges, width):
    written = ",".join(f"{low:0{width}}-{low + more:0{width}}" for low, more in ranges)
    every = [f"{prefix}{n:0{width}}" for low, more in ranges for n in range(low, low + more + 1)]
    assert first_host(f"{prefix}[{written}],{prefix}[99]") == every[0]


@pytest.mark.parametrize("nodes", ["", ",a", "node[1-", "node]1[", "a b"])
def test_a_list_that_can_t_be_read(nodes):
    with pytest.raises(ConfigError, match=r"must name machines, as in node\[003-005,9\]. Received: '"):
        first_host(nodes)
