"""Values and messages meant to break the judge: each costs its exercise and nothing else."""

import io
import json
import os
import threading
import time
from dataclasses import replace

import pytest
import torch
from trial import DOUBLED, ROW_SUMS, STEM

from induction_heads.course.compare import close_heads, close_product, closeness
from induction_heads.course.exercise import Case, Mistake
from induction_heads.course.registry import find_exercise
from induction_heads.grading import calls, judge, running_submission, wire
from induction_heads.grading.calls import Outcome
from induction_heads.grading.judge import judge_function
from induction_heads.grading.running_submission import (
    Budget,
    Limits,
    RunningSubmission,
    WorkerFailed,
)
from induction_heads.grading.sheet import Sheet
from induction_heads.grading.submission import Submission
from induction_heads.grading.wire import HEADER, MAGIC, Malformed, read_message
from induction_heads.grading.worker_process import (
    NoReply,
    WorkerDied,
    WorkerHandle,
    WorkerProcess,
    printable,
)
from induction_heads.grading.workers import WorkerPoolFailed
from induction_heads.models.plain_data import FactoredData, HookData, ModelData, returned_model

NAN = float("nan")
CONFIG = {
    "n_layers": 8,
    "n_heads": 1024,
    "d_model": 1,
    "d_head": 1,
    "d_vocab": 64,
    "n_ctx": 32,
    "normalization": None,
    "bos_token": None,
}
HOSTILE = [
    10**1000,
    -(10**1000),
    [(0, 0, 10**1000)],
    [(10**1000, 0, 0.5), (0, 1, NAN)],
    {NAN: 1, float("nan"): 2},
    {10**1000: NAN},
    FactoredData(torch.ones(3, 4), torch.ones(5, 2)),
    FactoredData(torch.ones(2**20, 1), torch.ones(1, 2**20)),
    FactoredData(torch.ones([1] * 40), torch.ones([1] * 40)),
    ModelData({}, {}, None),
    ModelData({**CONFIG, "n_layers": 10**1000}, {"W": torch.ones(2)}, "../../etc/passwd"),
    HookData("blocks." + "9" * 5000),
    "9" * 100_000,
    "(" * 3_000 + "n",
    "9**9**9**9",
    "z" + "\u0301" * 500,
    torch.empty(0, 2**40),
    torch.ones([1] * 60),
    torch.tensor([NAN, float("inf")]),
    torch.ones(2, dtype=torch.complex64),
    [[]] * 5_000,
    ((),) * 5_000,
]
COMPARISONS = (closeness(), close_heads(), close_product())


def test_no_value_and_no_comparison_makes_the_judge_fail():
    offenders = []
    for compare in COMPARISONS:
        exercise = replace(ROW_SUMS, compare=compare, seconds=60.0)
        sheet = Sheet(exercise)
        for index, value in enumerate(HOSTILE):
            result = judge.judge(sheet, lambda *_, value=value: Outcome("returned", value))
            fine = result.status in ("failed", "error") and result.message.isascii() is not None
            if not fine or len(result.message) > 9_100 or "Traceback" in result.message:
                offenders.append((index, result))
    assert offenders == []


def test_the_chapters_own_comparisons_survive_them_too():
    offenders = []
    for name in (
        "train_induction_heads",
        "build_induction_circuit",
        "random_composition_baseline",
        "make_repeated_tokens",
        "logit_copying_score",
        "causal_mask",
    ):
        exercise = find_exercise(name)[1]
        sheet = Sheet(replace(exercise, mistakes=()))
        sheet.inputs = [((), {}) for _ in sheet.cases]
        sheet.expected = [None] * len(sheet.cases)
        for index, value in enumerate(HOSTILE):
            result = judge.judge(sheet, lambda *_, value=value: Outcome("returned", value))
            if result.status not in ("failed", "error"):
                offenders.append((name, index, result))
    assert offenders == []


def test_a_comparison_that_fails_is_an_error_of_this_exercise():
    def breaks(pairs, named):
        raise OverflowError("int too large to convert to float")

    def broken(cases, answers):
        raise SystemError("no")

    for exercise in (replace(ROW_SUMS, describe=broken), ROW_SUMS):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(judge, "diagnose", breaks)
            assert judge_function(exercise, lambda matrix: 10**1000).status == "failed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "_result", breaks)
        result = judge_function(ROW_SUMS, lambda matrix: 0)
    assert result.status == "error"
    assert "`row_sums` returned something that cannot be compared with an answer" in result.message


def test_answers_are_described_once_and_mistakes_once_for_all_students():
    described = []

    def describe(cases: list[Case], answers: list) -> list:
        described.append(answers)
        return answers

    mistakes = tuple(
        Mistake(f"{n} too many", lambda number, n=n: number + n, "?") for n in range(9)
    )
    exercise = replace(DOUBLED, mistakes=mistakes, describe=describe)
    sheet = Sheet(exercise)
    assert judge_function(sheet, lambda number: -number).status == "failed"
    first = len(described)
    assert first == 1 + len(mistakes)
    assert judge_function(sheet, lambda number: -1 - number).status == "failed"
    assert len(described) == first + 1


def test_the_judge_stops_comparing_when_its_time_is_up(monkeypatch):
    def slow(answer, expected) -> str | None:
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        return None

    monkeypatch.setattr(judge, "JUDGE_SECONDS", 0.01)
    exercise = replace(DOUBLED, compare=slow)
    result = judge_function(exercise, lambda number: 2 * number)
    assert result.status == "error"
    assert "takes more than 0 seconds to compare" in result.message
    assert result.n_cases == 2


def test_the_time_for_known_mistakes_is_not_the_submissions(monkeypatch):
    def slow(number):
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass
        return 5

    monkeypatch.setattr(judge, "JUDGE_SECONDS", 0.05)
    exercise = replace(DOUBLED, mistakes=(Mistake("it is 5", slow, "Why 5?"),))
    assert judge_function(exercise, lambda number: 5).mistake == "it is 5"


def test_a_model_of_many_heads_is_refused_before_it_is_built():
    with pytest.raises(ValueError, match="more than 128 heads"):
        returned_model(ModelData(CONFIG, {}, None))


def message(tree: object) -> io.BytesIO:
    text = json.dumps(tree).encode()
    return io.BytesIO(HEADER.pack(MAGIC, len(text), 0) + text)


def test_members_of_the_wrong_kind_are_not_a_message():
    pair = ["dict", [["config", ["dict", []]], ["weights", ["dict", []]]]]
    whole = ["dict", [*pair[1], ["tokenizer", None]]]
    assert isinstance(read_message(message(["model", whole])), ModelData)
    deep: object = 0
    for _ in range(60):
        deep = ["list", [deep]]
    offenders = []
    for tree in (
        ["model", pair],
        ["model", ["list", []]],
        ["model", ["dict", [["config", 1], *whole[1][1:]]]],
        ["model", ["dict", [["config", ["dict", [[3, 4]]]], *whole[1][1:]]]],
        ["model", ["dict", [whole[1][0], ["weights", ["dict", [["W", 1]]]], whole[1][2]]]],
        ["model", ["dict", [*whole[1][:2], ["tokenizer", 5]]]],
        ["model", ["dict", [*whole[1][:2], ["tokenizer", "x" * 999]]]],
        ["factored", []],
        ["factored", [1, 2]],
        ["factored", [["list", []]] * 2],
        ["hook", 3],
        ["hook", "x" * 999],
        [],
        [1, 2],
        ["list"],
        ["list", [], []],
        [["list", []], []],
        ["dict", [[["list", []], 1]]],
        ["tensor", "9"],
        ["float", "nine"],
        deep,
    ):
        try:
            offenders.append((tree, read_message(message(tree))))
        except Malformed:
            continue
    assert offenders == []


class Pipes(WorkerHandle):
    """A worker that is only pipes. The test holds the other ends, as an escaped child would."""

    def __init__(self):
        (asked, ask), (answer, answered), (printed, prints) = (os.pipe() for _ in range(3))
        self.requests, self.ends = os.fdopen(ask, "wb"), (asked, answered, prints)
        self.answers, self.printed = os.fdopen(answer, "rb"), os.fdopen(printed, "rb")

    def wait(self, seconds: float) -> int | None:
        return None

    def why(self) -> str | None:
        return None

    def stop(self) -> None:
        pass


def test_nothing_is_left_after_close_even_if_the_other_ends_stay_open():
    before = threading.active_count(), len(os.listdir("/dev/fd"))
    pipes = Pipes()
    worker = WorkerProcess(pipes)
    worker.send({"large": torch.ones(10**6)})
    with pytest.raises(NoReply):
        worker.receive(0.01)
    os.write(pipes.ends[1], wire.pack({"event": "done"}) * 90)
    worker.close()
    for descriptor in pipes.ends:
        os.close(descriptor)
    assert (threading.active_count(), len(os.listdir("/dev/fd"))) == before


def test_a_message_is_read_only_when_it_is_awaited(monkeypatch):
    decoded = []
    monkeypatch.setattr(
        "induction_heads.grading.worker_process.read_message",
        lambda stream: decoded.append(1) or read_message(stream),
    )
    pipes = Pipes()
    with WorkerProcess(pipes) as worker:
        os.write(pipes.ends[1], wire.pack({"event": "started"}) * 50)
        assert worker.receive(30.0) == {"event": "started"}
        time.sleep(0.1)
        assert len(decoded) == 1
        assert worker.receive(30.0) == {"event": "started"}
        os.write(pipes.ends[1], b"nonsense" * 9)
    for descriptor in pipes.ends:
        os.close(descriptor)
    assert len(decoded) == 2


class Script:
    """A worker that answers by a list of (seconds to wait, reply)."""

    def __init__(self, *replies: tuple[float, dict]):
        self.replies = list(replies)
        self.waited: list[float] = []

    def receive(self, seconds: float) -> dict:
        self.waited.append(seconds)
        wait, reply = self.replies.pop(0)
        time.sleep(max(0.0, min(wait, seconds)))
        if wait > seconds:
            raise NoReply
        return reply

    def __getattr__(self, name: str):
        return lambda *args: ""


DONE = {"event": "done", "status": "returned", "value": 6, "message": "", "changed": None}


def running(worker: Script, **limits: float) -> RunningSubmission:
    one = RunningSubmission(Submission(STEM), Limits(**limits))
    one._worker = worker  # type: ignore[assignment]
    return one


def test_the_clock_runs_from_the_request():
    late = running(Script((0.3, {"event": "started"}), (0.0, DONE)))
    outcome = late.call("doubled", (3,), {}, 0.2)
    assert outcome.status == "timeout"
    worker = Script((0.1, {"event": "started"}), (0.0, DONE))
    outcome = running(worker).call("doubled", (3,), {}, 5.0)
    assert outcome.status == "returned"
    assert outcome.seconds >= 0.1
    assert worker.waited[0] == 5.0
    assert worker.waited[1] <= 4.9


def test_building_models_has_time_of_its_own_once():
    model = ModelData({}, {}, None)
    worker = Script(*[(0.2, {"event": "started"}), (0.0, DONE)] * 2)
    submission = running(worker, prepare=0.25)
    first = submission.call("width", ([model],), {}, 5.0)
    second = submission.call("width", (), {"model": model}, 5.0)
    assert first.seconds < 0.2 <= first.seconds + 0.2
    assert second.seconds > 0.1
    assert worker.waited[2] < 5.1


def test_a_student_whose_time_is_used_up_is_told_so():
    worker = Script((0.05, DONE), (0.0, DONE))
    submission = running(worker)
    submission.budget = Budget(0.04)
    assert submission.call("doubled", (3,), {}, 5.0).status == "timeout"
    outcome = submission.call("doubled", (3,), {}, 5.0)
    assert outcome.status == "timeout"
    assert outcome.message == "was not called. The 0.04 seconds for one student are used up."
    assert Budget(3600.0).message() == "The 60 minutes for one student are used up."


class Neighbors:
    """A pool whose first workers cannot start, as when another program has all the processes."""

    def __init__(self, n_failures: int):
        self.n_failures = n_failures

    def worker(self, *, models: bool) -> Script:
        self.n_failures -= 1
        if self.n_failures >= 0:
            raise WorkerPoolFailed("Resource temporarily unavailable.")
        return Script((0.0, {"event": "ready"}), (0.0, {"problem": None}), (0.0, DONE))


def test_a_worker_that_could_not_start_is_tried_once_more(monkeypatch):
    monkeypatch.setattr(running_submission, "RETRY_SECONDS", 0.0)
    for n_failures in (0, 1):
        pool = Neighbors(n_failures)
        one = RunningSubmission(Submission(STEM), pool=pool)  # type: ignore[arg-type]
        assert one.call("doubled", (3,), {}, 5.0).value == 6
    one = RunningSubmission(Submission(STEM), pool=Neighbors(2))  # type: ignore[arg-type]
    with pytest.raises(WorkerFailed, match="temporarily unavailable"):
        one.call("doubled", (3,), {}, 5.0)


class Equal:
    """Equals everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class Smooth(torch.Tensor):
    """A tensor that says it equals any other."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return True


def hides(numbers):
    numbers[0] = Equal()


def makes_true(numbers):
    numbers[1] = True


def disguises(numbers):
    numbers[2].zero_()
    numbers[2].__class__ = Smooth


def replaces(numbers):
    numbers[2] = torch.ones(2, dtype=torch.float64)


def test_a_change_of_an_argument_cannot_be_hidden():
    arguments = ([0.5, 1, torch.ones(2), NAN],)
    hidden = [
        change.__name__
        for change in (hides, makes_true, disguises, replaces)
        if calls.call(change, arguments, {}).changed != "numbers"
    ]
    assert hidden == []
    assert calls.call(lambda numbers: None, arguments, {}).changed is None


def test_marks_and_invisible_letters_are_escaped():
    for text in ("naïve é e\u0301 क्षि ภาษาไทยที่ تَشْكِيل שָׁלוֹם", "tab\tline\n🙂"):
        assert printable(text) == text
    zalgo = printable("z" + "\u0301" * 50)
    assert zalgo.startswith("z\u0301\u0301\u0301\u0301\\u0301")
    assert printable("\u3164\u115f\u2800\u202e\x1b") == "\\u3164\\u115f\\u2800\\u202e\\x1b"
    assert printable(printable(zalgo)) == zalgo


def test_worker_that_died_is_told_apart_from_one_that_is_silent():
    pipes = Pipes()
    with WorkerProcess(pipes) as worker:
        os.close(pipes.ends[1])
        with pytest.raises(WorkerDied):
            worker.receive(30.0)
    for descriptor in (pipes.ends[0], pipes.ends[2]):
        os.close(descriptor)
