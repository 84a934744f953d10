"""Misbehaving submissions: each fails one exercise with a message, and the next one still runs."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from trial import DOUBLED, RIGHT_DOUBLED, ROW_SUMS, STEM, WIDTH, Bench

from induction_heads.course.exercise import Exercise
from induction_heads.grading.running_submission import Limits, RunningSubmission, WorkerFailed
from induction_heads.grading.submission import Submission, read_submission
from induction_heads.grading.worker_process import (
    SpawnedWorker,
    WorkerDied,
    WorkerHandle,
    WorkerProcess,
)
from induction_heads.grading.workers import WorkerPool

HEAD = "import os, sys, time, torch\ndef row_sums(matrix):\n    "
QUICK = Limits(most=0.5, load=3)

MISBEHAVIOR = {
    "endless loop": ("while True: pass", "timeout", "did not finish within 0.5 s"),
    "endless sleep": ("time.sleep(100)", "timeout", "did not finish within 0.5 s"),
    "an interrupt": ("raise KeyboardInterrupt", "error", "raised KeyboardInterrupt"),
    "sys.exit": ("sys.exit(3)", "error", "called sys.exit(3) (line 3, in row_sums)"),
    "os._exit": ("os._exit(7)", "error", "ended the whole process with exit code 7"),
    "abort": ("os.abort()", "error", "brought the whole process down (SIGABRT)"),
    "killed": ("os.kill(os.getpid(), 9)", "error", "brought the whole process down"),
    "endless printing": ("while True: print('x' * 99999)", "error", "printed more than 10 MB"),
    "huge tensor": ("return torch.zeros(10**12)", "error", "raised RuntimeError (line 3, in row_"),
    "large answer": (
        "return torch.zeros(1).expand(10**9)",
        "error",
        "returned a tensor of shape [1000000000], 3,815 MB (at most 64 MB can be)",
    ),
    "generator": (
        "return (row.sum() for row in matrix)",
        "error",
        "returned a generator, which cannot be compared with an answer",
    ),
    "object": ("return torch.nn.Linear(1, 1)", "error", "returned a Linear, which cannot be"),
    "object in a list": ("return [object()]", "error", "returned a list with an object, which"),
    "endless nesting": ("a = []; a.append(a); return a", "error", "more than 40 levels deep"),
    "exception": ("return matrix.sun(1)", "error", "raised AttributeError (line 3, in row_sums): "),
    "recursion": ("return row_sums(matrix)", "error", "raised RecursionError (line 3, in row_sums"),
    "stub": ("raise NotImplementedError", "not_started", "still raises NotImplementedError (line"),
    "changed input": ("return matrix.abs_().sum(1)", "failed", "`matrix` was changed in place"),
    "nothing": ("pass", "failed", "got None, expected a float32 tensor of shape [2]"),
}


@pytest.mark.parametrize("name", MISBEHAVIOR)
def test_misbehavior_is_one_exercise_and_the_next_still_passes(name: str, bench: Bench):
    misbehave(name, bench)


@pytest.mark.parametrize("name", ["endless loop", "os._exit", "killed"])
def test_the_end_of_a_worker_that_was_not_forked_is_one_exercise_too(name: str, tmp_path: Path):
    misbehave(name, Bench(tmp_path, None))


def misbehave(name: str, bench: Bench) -> None:
    line, status, sentence = MISBEHAVIOR[name]
    # Only what must run into the limit has a short one: the machine may be busy.
    limits = Limits(most=0.5 if status == "timeout" else 30)
    bad, good = bench.check(f"{HEAD}{line}\n{RIGHT_DOUBLED}", ROW_SUMS, DOUBLED, limits=limits)
    assert (bad.status, bad.mistake) == (status, None)
    assert sentence in bad.message
    assert "Traceback" not in bad.message
    assert good.passed


FORGERY = """
import os
def row_sums(matrix):
    for descriptor in range(3, 256):
        try:
            os.write(descriptor, b"x" * 99)
        except OSError:
            pass
"""


def test_bytes_that_are_not_an_answer_are_an_error(bench: Bench):
    bad, good = bench.check(FORGERY + RIGHT_DOUBLED, ROW_SUMS, DOUBLED)
    assert (bad.status, good.status) == ("error", "passed")
    assert "sent something that is not an answer" in bad.message


def test_right_answer_passes(bench: Bench):
    assert bench.check(f"{HEAD}return matrix.sum(1)")[0].passed


def test_answer_with_gradient_passes(bench: Bench):
    result = bench.check(f"{HEAD}return torch.nn.Parameter(matrix).sum(1)")
    assert result[0].passed


def test_known_mistake_is_named_with_its_hint(bench: Bench):
    (result,) = bench.check(f"{HEAD}return matrix.sum(0)")
    assert (result.status, result.mistake) == ("failed", "columns are summed")
    assert "Hint: Which axis goes away?" in result.message


def test_failure_shows_the_answer_the_expected_one_and_the_input(bench: Bench):
    (result,) = bench.check(f"{HEAD}return torch.zeros(len(matrix), 1)")
    assert "2 × 2: got shape [2, 1], expected [2]." in result.message
    assert "Input: row_sums(matrix = a float32 tensor of shape [2, 2] (" in result.message


def test_printed_text_is_shown_with_a_failure_only_and_shortened(bench: Bench):
    printing = f"{HEAD}print('word ' * 2000)\n    return "
    (wrong,), (right,) = bench.check(printing + "0"), bench.check(printing + "matrix.sum(1)")
    assert "Printed: word word" in wrong.message
    assert len(wrong.message) < 1200
    assert right.message == ""


def test_printed_text_survives_a_timeout(bench: Bench):
    (result,) = bench.check(f"{HEAD}print('here')\n    while True: pass", limits=QUICK)
    assert result.status == "timeout"
    assert "Printed: here" in result.message


@pytest.mark.parametrize(
    ("source", "status", "sentence"),
    [
        ("while True: pass", "timeout", "ch99_trial.py did not finish loading within 3 s."),
        ("import sys; sys.exit()", "error", "cannot be loaded: it called sys.exit() (line 1)."),
        ("import os; os._exit(4)", "error", "while loading, ended the whole process with exit"),
        ("x = 1\ny = x +\n", "error", "is not valid Python: line 2: invalid syntax: y = x +"),
        ("\nprint(unknown)", "error", "it raised NameError (line 2): name 'unknown' is not"),
        ("import nowhere", "error", "it raised ModuleNotFoundError (line 1): No module named"),
        ("def other(): pass", "error", "`row_sums` is not defined in ch99_trial.py. Write it as"),
        ("row_sums = 3", "error", "`row_sums` is an int, not a function. Write it as"),
        ("def row_sums(): pass", "error", "too many positional arguments. Write it as row_sums("),
        ("def row_sums(m, axis): pass", "error", "missing a required argument: 'axis'. Write it"),
    ],
)
def test_file_that_cannot_be_used(source: str, status: str, sentence: str, bench: Bench):
    first, second = bench.check(source, ROW_SUMS, DOUBLED, limits=QUICK)
    assert first.status == status
    assert sentence in first.message
    assert not second.passed


def test_missing_file_is_an_error_of_every_exercise(tmp_path: Path):
    submission = read_submission(tmp_path, STEM)
    with RunningSubmission(submission) as running:
        outcome = running.call("row_sums", (), {}, 1.0)
    assert outcome.message == f"There is no file ch99_trial.py in {tmp_path}."


def test_file_that_is_not_text_has_a_problem(tmp_path: Path):
    (tmp_path / f"{STEM}.py").write_bytes(b"\xff\xfe\x00bad")
    assert "is not Python source" in (read_submission(tmp_path, STEM).problem or "")


def test_model_reaches_the_worker_as_a_bridge(bench: Bench):
    source = (
        "def width(model):\n    return model.W_E.shape[1] * (type(model).__name__[-6:] == 'Bridge')"
    )
    assert bench.check(source, WIDTH)[0].passed


def test_model_changed_in_place_is_reported(bench: Bench):
    source = (
        "def width(model):\n    model.W_U.data.zero_()\n    next(model.parameters()).data.zero_()"
    )
    (result,) = bench.check(source + "\n    return model.cfg.d_model", WIDTH)
    assert "`model` was changed in place" in result.message


SPOILS = """
def width(model):
    {}
    return model.cfg.d_model
"""
TWICE = replace(WIDTH, cases=lambda seed: 2 * WIDTH.cases(seed))


@pytest.mark.parametrize(
    "line",
    [
        "model.cfg.d_model += 1",
        "model.seen = hasattr(model, 'seen') and 1 / 0",
        "model.train(); assert not model.cfg.__dict__.setdefault('trained', 0)",
        "assert not model.hook_dict['blocks.0.attn.hook_pattern'].fwd_hooks\n"
        "    model.add_hook('blocks.0.attn.hook_pattern', lambda pattern, hook: 0 * pattern)",
    ],
)
def test_what_a_call_does_to_a_model_does_not_reach_the_next_call(line: str, bench: Bench):
    spoiling = SPOILS.format(line)
    if "d_model" in line:  # The answer itself is another one, the same each time.
        spoiling = spoiling.replace("return model.cfg.d_model", "return model.cfg.d_model - 1")
    (result,) = bench.check(spoiling, TWICE)
    assert result.passed, result.message


def test_a_model_is_built_once_for_all_calls_of_a_submission(bench: Bench):
    source = """
seen = []
def width(model):
    seen.append(model)
    assert all(model is other for other in seen), "another one"
    model.run_with_cache(torch.zeros(1, 3, dtype=torch.long))
    return model.cfg.d_model
"""
    (result,) = bench.check(f"import torch{source}", TWICE)
    assert result.passed, result.message


SPY = """
import importlib
import sys
def row_sums(matrix):
    loaded = [name for name in sys.modules if "course" in name or "solutions" in name]
    if any(name.startswith(("induction_heads.course", "solutions")) for name in loaded):
        return "the checks are loaded"
    for name in ("registry", "ch04_induction_heads", "ch04_induction_heads.mistakes"):
        try:
            importlib.import_module(f"induction_heads.course.{name}")
        except ImportError:
            pass
        else:
            return f"induction_heads.course.{name} can be imported"
    import gc
    if any(type(item).__name__ in ("Exercise", "Sheet") for item in gc.get_objects()):
        return "an exercise is in memory"
    return matrix.sum(1)
"""


def test_worker_does_not_have_the_answers(each_bench: Bench):
    (result,) = each_bench.check(SPY)
    assert result.passed, result.message


def test_worker_has_its_own_folder_and_no_credentials(each_bench: Bench, monkeypatch):
    monkeypatch.setenv("A_TOKEN", "secret")
    source = HEAD + (
        "assert 'A_TOKEN' not in os.environ and os.listdir('.') == []\n"
        "    open('scratch', 'w').write('x')\n    os.remove('scratch')\n    return matrix.sum(1)"
    )
    (result,) = each_bench.check(source)
    assert result.passed, result.message


def test_everything_the_submission_started_is_stopped(forking: WorkerPool, tmp_path: Path):
    # An isolated worker cannot write the note. Its remains are tested in test_workers.
    for pool in (None, forking):
        _started_and_stopped(Bench(tmp_path, pool), tmp_path)


def _started_and_stopped(bench: Bench, tmp_path: Path):
    note = tmp_path / "pid"
    source = HEAD + (
        "import subprocess\n    child = subprocess.Popen(['sleep', '100'])\n"
        f"    open({str(note)!r}, 'w').write(str(child.pid))\n    return matrix.sum(1)"
    )
    assert bench.check(source)[0].passed
    deadline = time.monotonic() + 5
    while _runs(int(note.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(int(note.read_text()))


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


class Dead(WorkerHandle):
    """A worker that ends before its first message."""

    def __init__(self):
        self.requests = open(os.devnull, "wb")  # noqa: SIM115
        self.answers, self.printed = (open(os.devnull, "rb") for _ in range(2))  # noqa: SIM115

    def wait(self, seconds: float) -> int | None:
        return 1

    def why(self) -> str | None:
        return None

    def stop(self) -> None:
        pass


def test_worker_that_cannot_start_is_not_blamed_on_the_submission():
    broken = SimpleNamespace(worker=lambda models: WorkerProcess(Dead()))
    running = RunningSubmission(Submission(STEM), pool=broken)  # type: ignore[arg-type]
    with running, pytest.raises(WorkerFailed, match=r"did not start \(ended .* exit code 1"):
        running.call("doubled", (3,), {}, 5.0)


def test_closed_worker_leaves_no_process_and_no_folder():
    started = SpawnedWorker()
    with WorkerProcess(started) as worker:
        assert worker.receive(60) == {"event": "ready"}
        folder = Path(started._folder.name)
        assert folder.is_dir()
    assert not folder.exists()
    with pytest.raises(WorkerDied):
        worker.receive(1)


def test_time_limit_is_for_all_cases_together(bench: Bench):
    slow = Exercise(
        **{**vars(ROW_SUMS), "cases": lambda seed: 3 * ROW_SUMS.cases(seed), "seconds": 0.9}
    )
    (result,) = bench.check(f"{HEAD}time.sleep(0.3)\n    return matrix.sum(1)", slow)
    assert result.status == "timeout"


def test_judge_process_is_left_as_it_was(bench: Bench):
    before = dict(os.environ), os.getcwd()
    bench.check(f"{HEAD}os.chdir('/'); os.environ['X'] = '1'; return matrix.sum(1)")
    assert (dict(os.environ), os.getcwd()) == before


def test_seed_reaches_the_worker(bench: Bench):
    sums = set()
    for seed in (0, 1):
        (result,) = bench.check(f"{HEAD}raise ValueError(matrix.sum().item())", seed=seed)
        sums.add(result.message)
    assert len(sums) == 2


def test_a_long_message_of_a_worker_is_cut():
    reply = {"event": "done", "status": "raised", "message": "x" * 10**6, "changed": "y" * 10**6}
    worker = SimpleNamespace(output=str, has_printed=lambda: False)
    outcome = RunningSubmission(Submission(STEM))._outcome(reply, worker, 0.0)
    assert len(outcome.message) == 4000
    assert len(outcome.changed or "") == 100


def test_a_file_too_large_to_be_an_answer_is_not_read(tmp_path: Path):
    (tmp_path / f"{STEM}.py").write_bytes(b"#" * (2**20 + 1))
    submission = read_submission(tmp_path, STEM)
    assert submission.problem == f"{STEM}.py is larger than 512 kB."
    assert submission.source == ""


def test_worker_sees_a_small_environment_of_its_own(each_bench: Bench):
    source = HEAD + (
        "assert os.environ['HOME'] == os.environ['TMPDIR'] == os.getcwd()\n"
        "    assert os.environ['PYTHONHASHSEED'] == '0' and os.environ['HF_HUB_OFFLINE'] == '1'\n"
        "    return matrix.sum(1)"
    )
    (result,) = each_bench.check(source)
    assert result.passed, result.message


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: limits of a process, Linux only")
def test_worker_is_limited_in_memory_processor_time_files_and_file_size(each_bench: Bench):
    source = HEAD + (
        "import resource\n"
        "    soft = lambda name: resource.getrlimit(getattr(resource, f'RLIMIT_{name}'))[0]\n"
        "    assert 0 < soft('AS') < 2**36, soft('AS')\n"
        "    assert 0 < soft('CPU') < 600, soft('CPU')\n"
        "    assert (soft('FSIZE'), soft('CORE')) == (64 * 2**20, 0)\n"
        "    assert 0 < soft('NOFILE') <= 256\n"
        "    return matrix.sum(1)"
    )
    (result,) = each_bench.check(source)
    assert result.passed, result.message


def test_a_planted_parent_does_not_open_the_checks(bench: Bench):
    source = HEAD + (
        "import importlib, types, induction_heads\n"
        "    fake = types.ModuleType('induction_heads.course')\n"
        "    fake.__path__ = [os.path.join(induction_heads.__path__[0], 'course')]\n"
        "    sys.modules[fake.__name__] = fake\n"
        "    importlib.import_module('induction_heads.course.ch01_attention.checks')"
    )
    (result,) = bench.check(source)
    assert "has the answers, so a submission cannot import it" in result.message


def test_the_start_of_a_long_output_is_recorded():
    source = "def doubled(number):\n    print('word ' * 20_000)\n    return 2 * number\n"
    with RunningSubmission(Submission(STEM, source)) as running:
        outcome = running.call("doubled", (3,), {}, 5.0)
    assert outcome.value == 6
    assert 1000 < len(outcome.output) <= 16 * 2**10


def test_the_packages_own_function_is_not_an_answer(bench: Bench):
    source = (
        "from induction_heads.models.attention import causal_mask as row_sums\n" + RIGHT_DOUBLED
    )
    bad, good = bench.check(source, ROW_SUMS, DOUBLED)
    assert bad.status == "error"
    assert "`row_sums` is the package's own, imported. Write it as row_sums(matrix)" in bad.message
    assert good.passed


def test_terminal_codes_are_escaped(bench: Bench):
    (result,) = bench.check(f"{HEAD}raise ValueError('\\x1b[2J\\u202e gone')")
    assert "\\x1b[2J\\u202e gone" in result.message
    assert "\x1b" not in result.message


def test_very_deep_folders_are_deleted(forking: WorkerPool, tmp_path: Path):
    deep = "import os\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\n"
    assert Bench(tmp_path, forking).check(f"{deep}{HEAD}return matrix.sum(1)")[0].passed


def test_remarks_are_returned_by_the_worker(bench: Bench):
    right = f"{HEAD}return matrix.requires_grad_(True).sum(1)"
    (result,) = bench.check(right)
    assert result.passed
    assert "still carries its gradient" in result.message


def test_unknown_remarks_are_dropped():
    with RunningSubmission(Submission(STEM, "")) as running:
        worker = SimpleNamespace(output=lambda: "", has_printed=lambda: False)
        for remarks in (["<b>", "gradient", 5, ["device"]], "gradient", None, {"gradient": 1}):
            reply = {"event": "done", "status": "returned", "message": "", "remarks": remarks}
            outcome = running._outcome(reply, worker, 0.0)  # type: ignore[arg-type]
            assert outcome.remarks == (("gradient",) if isinstance(remarks, list) else ())
