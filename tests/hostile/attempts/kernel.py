"""Asks the kernel for what no exercise needs. Each function returns "held" or what got through."""

import ctypes
import errno
import mmap
import os
import platform
import resource
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = {
    # name: (x86_64, aarch64)
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "unshare": (272, 97),
    "setns": (308, 268),
    "clone": (56, 220),
    "clone3": (435, 435),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "clock_settime": (227, 112),
    "settimeofday": (164, 170),
    "sethostname": (170, 161),
    "personality": (135, 92),
    "move_pages": (279, 239),
    "lookup_dcookie": (212, 18),
    "vmsplice": (278, 75),
}
NEW_USER, NEW_MOUNTS = 0x10000000, 0x20000
IS_INTEL = platform.machine() == "x86_64"


def ask(name, *args, number=None):
    """ "held" if the kernel refuses, else what it returned. A child would be a success too."""
    number = number or NUMBERS[name][0 if IS_INTEL else 1]
    ctypes.set_errno(0)
    value = LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, args))
    if value == 0 and name in ("clone", "clone3"):
        os._exit(0)
    if value >= 0:
        return f"{name} returned {value}"
    problem = ctypes.get_errno()
    # A wrong argument is no protection: the call itself was allowed.
    if problem in (errno.EFAULT, errno.EINVAL, errno.ENOENT, errno.EBADF, errno.ENOEXEC):
        return f"{name} looked at its arguments ({errno.errorcode[problem]})"
    return "held"


def pointer(data):
    """The address of bytes that stay alive."""
    buffer = ctypes.create_string_buffer(data)
    KEPT.append(buffer)
    return ctypes.addressof(buffer)


KEPT = []


def joins_a_keyring():
    return ask("keyctl", 1, 0)


def reads_the_keyring_of_its_user():
    return ask("keyctl", 0, -4, 1)


def leaves_a_message_in_a_keyring():
    return ask("add_key", pointer(b"user"), pointer(b"message"), pointer(b"hello"), 5, -4)


def asks_for_a_key():
    return ask("request_key", pointer(b"user"), pointer(b"message"), 0, -4)


def enters_a_user_namespace():
    return ask("unshare", NEW_USER)


def enters_a_mount_namespace():
    return ask("unshare", NEW_USER | NEW_MOUNTS)


def clones_into_a_user_namespace():
    return ask("clone", NEW_USER | 17, 0, 0, 0, 0)


def clones_anew_into_a_user_namespace():
    return ask("clone3", pointer(struct.pack("11Q", NEW_USER, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)), 88)


def enters_the_namespace_of_the_first_process():
    try:
        with open("/proc/self/ns/mnt") as file:
            return ask("setns", file.fileno(), 0)
    except FileNotFoundError:  # For an ordinary user, /proc is of other processes than this one.
        return "held"


def mounts_memory():
    place, kind = pointer(b"/student"), pointer(b"tmpfs")
    return ask("mount", kind, place, kind, 0, pointer(b"size=8g"))


def mounts_in_the_new_way():
    return ask("fsopen", pointer(b"tmpfs"), 0)


def copies_a_mount():
    return ask("open_tree", -100, pointer(b"/"), 1)


def unmounts_what_hides_the_checks():
    return ask("umount2", pointer(b"/proc"), 2)


def changes_the_root():
    return ask("pivot_root", pointer(b"/student"), pointer(b"/student"))


def traces_the_first_process():
    return ask("ptrace", 16, 1, 0, 0)


def is_traced_by_its_parent():
    return ask("ptrace", 0, 0, 0, 0)


def reads_memory_of_the_first_process():
    local = pointer(struct.pack("2Q", pointer(b"x" * 64), 64))
    return ask("process_vm_readv", 1, local, 1, pointer(struct.pack("2Q", id(ask), 64)), 1, 0)


def takes_a_file_of_the_first_process():
    return ask("pidfd_getfd", 0, 1, 0)


def compares_kernel_objects():
    return ask("kcmp", 1, os.getpid(), 0, 0, 0)


def loads_a_program_into_the_kernel():
    return ask("bpf", 5, pointer(b"\0" * 128), 128)


def measures_the_processor():
    return ask("perf_event_open", pointer(struct.pack("2I", 1, 112) + b"\0" * 104), 0, -1, -1, 0)


def handles_page_faults():
    return ask("userfaultfd", 1)


def makes_a_ring():
    return ask("io_uring_setup", 8, pointer(b"\0" * 120))


def makes_a_file_in_memory():
    return ask("memfd_create", pointer(b"memory"), 0)


def makes_secret_memory():
    return ask("memfd_secret", 0)


def makes_shared_memory():
    return ask("shmget", 0, 2**20, 0o1600)


def makes_a_message_queue():
    return ask("msgget", 0, 0o1600)


def makes_semaphores():
    return ask("semget", 0, 8, 0o1600)


def makes_a_named_message_queue():
    return ask("mq_open", pointer(b"queue"), 0o102, 0o600, 0)


def opens_a_file_by_its_number():
    return ask("open_by_handle_at", -100, pointer(struct.pack("Ii", 8, 1) + b"\0" * 8), 0)


def watches_all_files():
    return ask("fanotify_init", 0, 0)


def loads_a_module():
    return ask("init_module", pointer(b"\x7fELF"), 4, pointer(b""))


def loads_a_module_from_a_file():
    return ask("finit_module", 0, pointer(b""), 0)


def loads_another_kernel():
    return ask("kexec_load", 0, 0, 0, 0)


def restarts_the_machine():
    return ask("reboot", 0, 0, 0, 0)


def adds_swap():
    return ask("swapon", pointer(b"/student/swap"), 0)


def keeps_accounts():
    return ask("acct", 0)


def changes_quotas():
    return ask("quotactl", 0x80000700, 0, 0, 0)


def reads_the_messages_of_the_kernel():
    return ask("syslog", 3, pointer(b"x" * 4096), 4096)


def sets_the_clock():
    return ask("clock_settime", 0, pointer(struct.pack("2q", 0, 0)))


def sets_the_time_of_day():
    return ask("settimeofday", pointer(struct.pack("2q", 0, 0)), 0)


def renames_the_machine():
    return ask("sethostname", pointer(b"mallory"), 7)


def moves_pages():
    return ask("move_pages", 1, 0, 0, 0, 0, 0)


def gives_pages_to_a_pipe():
    _, writable = os.pipe()
    return ask("vmsplice", writable, pointer(struct.pack("2Q", pointer(b"x" * 64), 64)), 1, 0)


def uses_the_numbers_of_x32():
    if not IS_INTEL:
        return "held"
    return ask("keyctl", 1, 0, number=0x40000000 + 250)


def opens_a_socket_of(family):
    descriptor = LIBC.socket(family, 1, 0)
    return "held" if descriptor < 0 else f"got the socket {descriptor}"


def opens_a_socket_to_the_host():
    return opens_a_socket_of(40)


def opens_a_socket_of_the_internet():
    return opens_a_socket_of(2)


def opens_a_socket_of_the_kernel():
    return opens_a_socket_of(38)


def opens_a_local_socket():
    return opens_a_socket_of(1)


def opens_a_socket_of_netlink():
    descriptor = LIBC.socket(16, 3, 0)
    return "held" if descriptor < 0 else "got a netlink socket"


def becomes_root():
    for change in (os.setuid, os.seteuid, os.setgid):
        try:
            change(0)
        except OSError:
            continue
        return "held" if os.geteuid() != 0 else "is root"
    return "held"


def gets_privileges_by_a_program():
    for program in ("/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd", "/usr/bin/sudo"):
        if os.path.exists(program):
            pid = os.fork()
            if pid == 0:
                for descriptor in (0, 1, 2):
                    os.dup2(os.open("/dev/null", os.O_RDWR), descriptor)
                os.execv(program, [program, "-c", "touch /student/owned"])
            os.waitpid(pid, 0)
    return "got privileges" if os.path.exists("/student/owned") else "held"


def makes_a_device():
    try:
        os.mknod("/student/memory", 0o020666, os.makedev(1, 1))
    except OSError:
        return "held"
    return "made a device"


def becomes_more_important():
    try:
        os.nice(-5)
    except OSError:
        return "held"
    return "is more important"


def runs_before_all_others():
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    except OSError:
        return "held"
    return "runs before all others"


def raises_its_limits():
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE):
        try:
            resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (OSError, ValueError):
            continue
        return f"raised the limit {kind}"
    return "held"


def raises_the_limits_of_the_first_process():
    try:
        resource.prlimit(1, resource.RLIMIT_NPROC, (10**6, 10**6))
    except (OSError, ValueError):
        return "held"
    return "raised the limits of the first process"


def calls_as_on_a_smaller_machine():
    """The calls of 32-bit programs have other numbers: 20 is getpid there."""
    if not IS_INTEL:
        return "held"
    pid = os.fork()
    if pid == 0:
        code = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
        code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
        address = ctypes.addressof(ctypes.c_char.from_buffer(code))
        os._exit(3 if ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0 else 0)
    return "held" if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 3 else "was answered"
