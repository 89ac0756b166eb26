"""How many processors this process may use: its affinity mask, and the quota of its control groups."""

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["allowed_cpus", "num_cpus", "num_threads"]


def num_cpus(root: Path = Path("/")) -> int:
    """Logical processors that this process may use: how many workers make sense that read, decode or wait.

        max(1, min(processors of the affinity mask, floor(quota of the control group)))

    A cluster's cpuset and a container's quota count, unlike in `os.cpu_count()`.
    """
    cpus = len(allowed_cpus()) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, cpu_quota(root)))


def num_threads(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> int:
    """Threads to compute with: one per physical core that this process may use, shared by the machine's processes.

        max(1, min(physical cores of the affinity mask, floor(quota of the control group)) // LOCAL_WORLD_SIZE)

    A second thread on a core adds next to nothing to products of matrices, and a thread beyond the quota makes all
    others wait for it. OMP_NUM_THREADS, if set, is what the user wants; but torchrun sets it to 1 for every user who
    has not.

    >>> num_threads({"OMP_NUM_THREADS": "3"})
    3
    """
    wanted = environment.get("OMP_NUM_THREADS", "").split(",")[0]  # a list has one number for each nested level
    by_torchrun = wanted == "1" and "TORCHELASTIC_RUN_ID" in environment
    if wanted.isdigit() and int(wanted) and not by_torchrun:
        return int(wanted)
    cores = min(physical_cores(allowed_cpus(), root), cpu_quota(root))
    ranks = environment.get("LOCAL_WORLD_SIZE", "")
    return max(1, cores // (int(ranks) if ranks.isdigit() and int(ranks) else 1))


def allowed_cpus() -> set[int]:
    """The logical processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    import psutil  # where it is needed: it takes longer than all else here

    return set(range(psutil.cpu_count(logical=False) or os.cpu_count() or 1))  # for systems without masks


def physical_cores(cpus: set[int], root: Path) -> int:
    """How many cores these logical processors belong to; one each if the system does not tell."""
    places = set()
    for cpu in cpus:
        topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        try:
            places.add((read(topology / "physical_package_id"), read(topology / "core_id")))
        except OSError:
            places.add(("", str(cpu)))
    return len(places)


def cpu_quota(root: Path) -> int:
    """Whole processors that the control groups of this process grant, both versions; a huge number without a limit."""
    quotas = [quota for group in control_groups(root) if (quota := quota_of(group)) is not None]
    return max(1, int(min(quotas))) if quotas else 2**31


def control_groups(root: Path) -> list[Path]:
    """The folders of this process's groups and their parents; in a container the path may not exist."""
    top = root / "sys/fs/cgroup"
    folders = [top, top / "cpu", top / "cpu,cpuacct"]
    try:
        lines = read(root / "proc/self/cgroup").splitlines()
    except OSError:
        return folders
    for line in lines:
        _, controllers, path = line.split(":", 2)
        mounts = [top, top / "unified"] if not controllers else [top / controllers, top / "cpu"]
        if controllers and "cpu" not in controllers.split(","):
            continue
        parts = Path(path.lstrip("/"))
        folders += [mount / part for mount in mounts for part in (parts, *parts.parents)]
    return folders


def quota_of(group: Path) -> float | None:
    """Processors that a group grants, quota / period; None if it sets no limit or does not exist."""
    try:
        if (group / "cpu.max").is_file():
            quota, period = read(group / "cpu.max").split()
        else:
            quota, period = read(group / "cpu.cfs_quota_us"), read(group / "cpu.cfs_period_us")
        return float(quota) / float(period) if float(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # ValueError also for "max"
        return None


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()
