"""What the system says about memory, in trees of its files."""

from pathlib import Path

import pytest

from meanfield.system import memory

GB = 10**9


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def machine(root, free=16 * GB):
    return write(root, {"proc/meminfo": f"MemTotal: 99 kB\nMemAvailable: {free // 1000} kB\n"})


def group(folder, limit, used, stat="inactive_file 0\n"):
    return {
        f"{folder}/memory.max": f"{limit}\n",
        f"{folder}/memory.current": f"{used}\n",
        f"{folder}/memory.stat": stat,
    }


def test_the_machine_alone(tmp_path):
    assert memory.available(machine(tmp_path)) == 16 * GB // 1000 * 1024


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (group("sys/fs/cgroup/job", 4 * GB, GB), 3 * GB),
        # Pages of files are given back.
        (group("sys/fs/cgroup/job", 4 * GB, 3 * GB, f"anon 5\ninactive_file {GB}\n"), 2 * GB),
        # The limit of the group above is the narrower one.
        (
            group("sys/fs/cgroup/job", "max", GB) | group("sys/fs/cgroup", 6 * GB, 4 * GB),
            2 * GB,
        ),
        # Inside a container the path of the group is not to be seen.
        (group("sys/fs/cgroup", 5 * GB, 4 * GB), GB),
        (group("sys/fs/cgroup/job", 4 * GB, 5 * GB), 0),
        (group("sys/fs/cgroup/other", GB, 0), 16 * GB // 1000 * 1024),
    ],
)
def test_limits_of_version_2(tmp_path, files, wanted):
    write(machine(tmp_path), {"proc/self/cgroup": "0::/job\n"} | files)
    assert memory.available(tmp_path) == wanted


def test_limits_of_version_1(tmp_path):
    folder = "sys/fs/cgroup/memory/job"
    files = {
        "proc/self/cgroup": "5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n",
        f"{folder}/memory.limit_in_bytes": f"{4 * GB}\n",
        f"{folder}/memory.usage_in_bytes": f"{2 * GB}\n",
        f"{folder}/memory.stat": f"inactive_file 7\ntotal_inactive_file {GB}\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{2 * GB}\n",
    }
    assert memory.available(write(machine(tmp_path), files)) == 3 * GB


def test_a_system_without_such_files_has_some_memory(tmp_path):
    assert memory.available(tmp_path) > 10**8


def test_this_machine_has_no_more_than_it_says():
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        pytest.skip("Linux only")
    total = 1024 * int(meminfo.read_text().split()[1])
    assert 0 < memory.available() < total


def test_what_fits_is_let_through_and_the_rest_is_named():
    memory.require(1, "lower n")
    with pytest.raises(MemoryError, match=r"^This run needs about 1e\+09 GB .*; lower n\.$"):
        memory.require(1e18, "lower n")
