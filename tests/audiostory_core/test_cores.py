"""How many processes fit: the smallest of affinity, quota and memory."""

import os

import pytest

from api.operations import maker_pool
from api.settings import Settings
from audiostory_core import cores


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of eight cores and 16 GB whose group of processes is `outer/inner`."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(cores, "CGROUPS", tmp_path)
    monkeypatch.setattr(cores, "OWN_CGROUP", tmp_path / "own")
    monkeypatch.setattr(cores, "MEMORY", tmp_path / "meminfo")
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "own").write_text("0::/outer/inner\n")
    (tmp_path / "meminfo").write_text("MemTotal: 17000000 kB\nMemAvailable:   16000000 kB\n")
    return tmp_path


def test_all_cores_are_used_where_nothing_bounds_them(machine):
    assert cores.count_cores() == 8
    assert maker_pool.count_processes(Settings()) == 8


def test_cores_follow_affinity(machine, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5})

    assert cores.count_cores() == 2


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        ("max 100000", "max 100000", 8),
        ("250000 100000", "max 100000", 3),
        ("max 100000", "100000 100000", 1),
        ("50000 100000", "400000 100000", 1),
    ],
)
def test_cores_follow_the_quota_of_every_group_around_the_process(machine, inner, outer, expected):
    (machine / "outer" / "inner" / "cpu.max").write_text(f"{inner}\n")
    (machine / "outer" / "cpu.max").write_text(f"{outer}\n")

    assert cores.count_cores() == expected


def test_processes_follow_the_memory_of_the_group(machine):
    (machine / "outer" / "memory.max").write_text("2000000000\n")
    (machine / "outer" / "memory.current").write_text("1000000000\n")

    assert cores.available_bytes() == 1e9
    assert maker_pool.count_processes(Settings()) == 1 + int(1e9 // maker_pool.PROCESS_BYTES)


def test_setting_has_the_last_word(machine):
    assert maker_pool.count_processes(Settings(processes=3)) == 3


def test_memory_is_not_bounded_where_nobody_says(machine):
    (machine / "meminfo").unlink()

    assert maker_pool.count_processes(Settings()) == 8
