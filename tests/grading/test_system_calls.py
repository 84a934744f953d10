"""The filter of system calls, run here as the kernel runs it, for both kinds of machine."""

import errno
import struct

import pytest

from induction_heads.grading import system_calls
from induction_heads.grading.system_calls import ALLOW, ARCHITECTURES, END, REFUSE, program

MACHINES = list(ARCHITECTURES)
READ, GETPID, CLONE, MMAP, FCNTL = (0, 63), (39, 172), (56, 220), (9, 222), (72, 25)


def decision(machine: str, number: int, *args: int, audit: int | None = None) -> int:
    """What the filter decides about a call."""
    kind = ARCHITECTURES[machine]
    arguments = [*args, *[0] * (6 - len(args))]
    data = struct.pack("=iIQ6Q", number, audit or kind.audit, 0, *arguments)
    lines = list(struct.iter_unpack("=HBBI", program(machine)))
    at = value = 0
    while True:
        code, if_true, if_false, operand = lines[at]
        at += 1
        if code == system_calls.LOAD:
            (value,) = struct.unpack_from("=I", data, operand)
        elif code == system_calls.AND:
            value &= operand
        elif code == system_calls.RETURN:
            return operand
        else:
            holds = value == operand if code == system_calls.EQUAL else value >= operand
            at += if_true if holds else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_every_listed_call_is_refused_and_ordinary_ones_are_allowed(machine: str):
    column = ARCHITECTURES[machine].column
    expected = {
        number[column]: REFUSE | problem
        for calls, problem in (
            (system_calls.REFUSED, errno.EPERM),
            (system_calls.ABSENT, errno.ENOSYS),
            (system_calls.NETWORK, errno.ENETUNREACH),
        )
        for number in calls.values()
    }
    newer = range(system_calls.NEWER_CALLS, 600)
    expected |= dict.fromkeys(newer, REFUSE | errno.ENOSYS)
    decided = {number: decision(machine, number) for number in range(600)}
    assert {number: decided[number] for number in expected} == expected
    assert {decided[n] for n in decided if n not in expected} == {ALLOW}
    assert max(set(expected) - set(newer)) < system_calls.NEWER_CALLS
    assert {decided[call[column]] for call in (READ, GETPID, CLONE, MMAP)} == {ALLOW}


@pytest.mark.parametrize("machine", MACHINES)
def test_flags_decide_about_namespaces_and_shared_memory(machine: str):
    column = ARCHITECTURES[machine].column
    clone, mmap = CLONE[column], MMAP[column]
    fork, thread, new_user, new_network = 0x1200011, 0x3D0F00, 0x10000011, 0x40000011
    assert [decision(machine, clone, flags) for flags in (fork, thread)] == [ALLOW, ALLOW]
    for flags in (new_user, new_network, 0x20011, 0x2000011, 0x4000011, 0x8000011, 0x20000011):
        assert decision(machine, clone, flags) == REFUSE | errno.EPERM, hex(flags)
    private, shared_file = 0x22, 0x01
    assert [decision(machine, mmap, 0, 9, 3, f) for f in (private, shared_file)] == [ALLOW, ALLOW]
    for flags in (0x21, 0x23, 0x40021, 0x40022):
        assert decision(machine, mmap, 0, 9, 3, flags) == REFUSE | errno.EPERM, hex(flags)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_file_can_be_duplicated_but_not_locked_in_parts(machine: str):
    fcntl = FCNTL[ARCHITECTURES[machine].column]
    duplicate, get_flags, lock, lock_of_a_file, lease = 1030, 3, 6, 37, 1024
    assert [decision(machine, fcntl, 4, each) for each in (duplicate, get_flags)] == [ALLOW] * 2
    for command in (lock, lock_of_a_file, lease):
        assert decision(machine, fcntl, 4, command) == REFUSE | errno.EPERM, command


def test_calls_of_another_architecture_end_the_process():
    assert decision("x86_64", 20, audit=0x40000003) == END
    assert decision("aarch64", 20, audit=0x40000028) == END
    assert decision("x86_64", 0x40000000 + 39) == REFUSE | errno.ENOSYS


def test_a_kind_of_machine_without_a_table_is_named(monkeypatch):
    monkeypatch.setattr(system_calls.platform, "machine", lambda: "riscv64")
    assert system_calls.missing() == "there is none for processors of the kind riscv64"
