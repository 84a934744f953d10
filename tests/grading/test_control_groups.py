"""Control groups: where they can be made, what they limit, and what is left of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from induction_heads.grading import control_groups
from induction_heads.grading.control_groups import ControlGroups, Limit, NoGroups, find_place

LIMIT = Limit(memory=2**30, processes=64)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: control groups, Linux")


def tree(folder: Path, enabled: dict[str, str], own: str) -> tuple[Path, Path]:
    """A tree of groups in `folder`: group → its controllers. Returns the two files of /proc."""
    root = folder / "cgroup"
    for group, controllers in enabled.items():
        path = root / group
        path.mkdir(parents=True, exist_ok=True)
        (path / "cgroup.controllers").write_text("cpu memory pids")
        (path / "cgroup.subtree_control").write_text(controllers)
        (path / "cgroup.procs").write_text("")
    (folder / "mountinfo").write_text(
        f"30 1 0:26 / /proc rw - proc proc rw\n35 24 0:30 / {root} rw - cgroup2 cgroup2 rw\n"
    )
    (folder / "own").write_text(f"0::{own}\n")
    return folder / "mountinfo", folder / "own"


SYSTEMD = {
    ".": "cpu memory pids",
    "user.slice": "cpu memory pids",
    "user.slice/app.slice": "cpu memory pids",
    "user.slice/app.slice/run.scope": "",
}


def test_the_nearest_group_with_limits_is_taken(tmp_path: Path):
    files = tree(tmp_path, SYSTEMD, "/user.slice/app.slice/run.scope")
    assert find_place(*files) == tmp_path / "cgroup" / "user.slice" / "app.slice"


def test_each_obstacle_has_its_sentence(tmp_path: Path):
    for name in ("none", "old", "bare", "closed"):
        (tmp_path / name).mkdir()
    nothing = tmp_path / "none" / "mountinfo", tmp_path / "none" / "own"
    with pytest.raises(NoGroups, match="no control groups of version 2"):
        find_place(*nothing)
    mounts, own = tree(tmp_path / "old", SYSTEMD, "/")
    own.write_text("4:memory:/x\n")
    with pytest.raises(NoGroups, match="no control groups of version 2"):
        find_place(mounts, own)
    files = tree(tmp_path / "bare", SYSTEMD, "/")
    (tmp_path / "bare" / "cgroup" / "cgroup.controllers").write_text("hugetlb")
    with pytest.raises(NoGroups, match="no limits on memory and pids"):
        find_place(*files)
    files = tree(tmp_path / "closed", dict.fromkeys(SYSTEMD, ""), "/user.slice/app.slice")
    with pytest.raises(NoGroups, match="systemd-run --user --scope"):
        find_place(*files)


def test_a_group_of_another_place_is_not_taken(tmp_path: Path):
    files = tree(tmp_path, SYSTEMD, "/../../elsewhere")
    with pytest.raises(NoGroups):
        find_place(*files)


def test_the_limits_as_the_kernel_reads_them():
    assert LIMIT.files() == {
        "memory.max": "1073741824",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "64",
        "cpu.max": "100000 100000",
    }


def test_the_end_by_the_kernel_is_known(tmp_path: Path):
    group = control_groups.ControlGroup.__new__(control_groups.ControlGroup)
    group.path = tmp_path
    assert not group.ran_out_of_memory()
    (tmp_path / "memory.events").write_text("low 0\nmax 7\noom 1\noom_kill 0\n")
    assert not group.ran_out_of_memory()
    (tmp_path / "memory.events").write_text("low 0\nmax 7\noom 1\noom_kill 2\n")
    assert group.ran_out_of_memory()


class Unlimited(Limit):
    """For groups of a kernel whose controllers are elsewhere: they hold processes all the same."""

    def files(self) -> dict[str, str]:
        return {}


def test_a_process_joins_a_group_and_ends_with_it():
    """With the groups of this kernel, whatever controllers they have."""
    mount = control_groups._mount(control_groups.MOUNTS)
    if mount is None or not os.access(mount / "cgroup.procs", os.W_OK):
        pytest.skip("NOT RUN: real control groups, which this account cannot make")
    groups = ControlGroups(Unlimited(1, 1), place=mount, needed=())
    group = groups.group("worker")
    entrance = group.entrance()
    command = [sys.executable, "-c", f"import os, time; os.write({entrance}, b'0'); time.sleep(60)"]
    process = subprocess.Popen(command, pass_fds=[entrance])
    os.close(entrance)
    try:
        own = Path(f"/proc/{process.pid}/cgroup")
        while f"0::/{groups.path.relative_to(mount)}/worker" not in own.read_text().split("\n"):
            assert process.poll() is None
        group.close()
        assert process.wait(30) == -9
        group.close()
        assert not group.path.exists()
    finally:
        process.kill()
        groups.close()
    assert not groups.path.exists()


def test_groups_of_ended_runs_are_removed(tmp_path: Path):
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    for pid in (ended, os.getpid()):
        (tmp_path / f"induction-heads-{pid}-abc" / "1").mkdir(parents=True)
    control_groups._remove_old(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"induction-heads-{os.getpid()}-abc"]
