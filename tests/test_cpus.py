import pytest
import torch

from neocog.cpus import cpu_quota, num_cpus, num_threads, physical_cores
from neocog.training.speed import use_threads


def plant(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def cores(packages):
    """Files that place processor i on (package, core)."""
    files = {}
    for cpu, (package, core) in enumerate(packages):
        topology = f"sys/devices/system/cpu/cpu{cpu}/topology"
        files |= {f"{topology}/physical_package_id": f"{package}\n", f"{topology}/core_id": f"{core}\n"}
    return files


SMT = cores([(0, 0), (0, 1), (1, 0), (1, 1), (0, 0), (0, 1), (1, 0), (1, 1)])


@pytest.fixture
def eight(monkeypatch):
    monkeypatch.setattr("neocog.cpus.allowed_cpus", lambda: set(range(8)))


def test_two_processors_on_one_core_are_one(tmp_path):
    root = plant(tmp_path, SMT)
    assert physical_cores(set(range(8)), root) == 4
    assert physical_cores({0, 4}, root) == 1
    assert physical_cores({0, 1, 9}, root) == 3  # the system says nothing of 9


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 2**31),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "350000 100000\n"}, 3),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "600000 100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/m\n2:cpu,cpuacct:/x\n0::/\n",
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "2:cpu:/host/path\n",  # which this container does not see
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
        (
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"},
            2**31,
        ),
        ({"sys/fs/cgroup/cpu.max": "strange\n"}, 2**31),
        ({}, 2**31),
    ],
)
def test_the_quota_of_control_groups(tmp_path, files, quota):
    assert cpu_quota(plant(tmp_path, files)) == quota


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({}, 4),
        ({"LOCAL_WORLD_SIZE": "2"}, 2),
        ({"LOCAL_WORLD_SIZE": "3"}, 1),
        ({"LOCAL_WORLD_SIZE": "16"}, 1),
        ({"OMP_NUM_THREADS": "7"}, 7),
        ({"OMP_NUM_THREADS": "7,2", "LOCAL_WORLD_SIZE": "2"}, 7),
        ({"OMP_NUM_THREADS": "0"}, 4),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1", "TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2"}, 2),
    ],
)
@pytest.mark.usefixtures("eight")
def test_threads_are_cores_shared_by_the_processes_of_the_machine(tmp_path, environment, threads):
    assert num_threads(environment, plant(tmp_path, SMT)) == threads


@pytest.mark.usefixtures("eight")
def test_a_quota_below_the_cores_counts(tmp_path):
    root = plant(tmp_path, SMT | {"sys/fs/cgroup/cpu.max": "300000 100000"})
    assert num_threads({}, root) == 3


def test_workers_are_the_processors_of_the_mask_within_the_quota(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert num_cpus(plant(tmp_path / "free", SMT)) == 8
    assert num_cpus(plant(tmp_path / "quota", {"sys/fs/cgroup/cpu.max": "350000 100000"})) == 3
    assert num_cpus(plant(tmp_path / "small", {"sys/fs/cgroup/cpu.max": "50000 100000"})) == 1


def test_use_threads_sets_the_threads_of_torch():
    before = torch.get_num_threads()
    try:
        assert use_threads(1) == torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
