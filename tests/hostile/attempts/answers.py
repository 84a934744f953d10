"""Answers that are meant to break whoever compares them. None is right, and none may pass."""

import gc
import json
import os
import struct
import sys
import threading
import time

import torch
from torch.overrides import TorchFunctionMode

from induction_heads.grading import wire
from induction_heads.models.plain_data import FactoredData, HookData, ModelData

NAN = float("nan")
CONFIG = {
    "n_layers": 1,
    "n_heads": 1,
    "d_model": 4,
    "d_head": 4,
    "d_vocab": 8,
    "n_ctx": 8,
    "normalization": None,
    "bos_token": None,
}


def channel():
    """The file to which the worker writes its answers."""
    return next(each.answers for each in gc.get_objects() if type(each).__name__ == "Worker")


def done(value, **fields):
    """A forged answer."""
    message = {"event": "done", "status": "returned", "value": value, "message": ""}
    return {**message, "changed": None, "remarks": (), "seconds": 0.0, "output": "", **fields}


def forge(*messages):
    for message in messages:
        wire.write_message(channel(), message)
    time.sleep(30)


def forge_bytes(tree, block=b""):
    sink = channel()
    sink.write(wire.HEADER.pack(wire.MAGIC, len(tree), len(block)) + tree + block)
    sink.flush()
    time.sleep(30)


def a_number_beyond_the_floats():
    return 10**1000


def a_score_beyond_the_floats():
    return [(0, 0, 10**1000), (0, 1, -(10**1000))]


def a_head_beyond_all_heads():
    return [(10**1000, 10**1000, 0.5)]


def a_dict_with_nan_as_keys():
    return {NAN: 1, float("nan"): 2, -NAN: 3}


def factors_that_are_words():
    return FactoredData("A", ["B"])


def factors_that_do_not_fit():
    return FactoredData(torch.ones(3, 4), torch.ones(5, 2))


def factors_of_many_dimensions():
    return FactoredData(torch.ones([1] * 30), torch.ones([1] * 30))


def factors_without_end():
    return FactoredData(torch.ones(2**22, 1), torch.ones(1, 2**22))


def a_model_of_nothing():
    return ModelData({}, {}, None)


def a_model_that_is_words():
    return ModelData("config", "weights", ["tokenizer"])


def a_model_with_numbers_for_names():
    return ModelData({1: 2}, {3: torch.ones(2)}, None)


def a_model_with_a_climbing_tokenizer():
    return ModelData(CONFIG, {}, "../../../../etc/passwd")


def a_model_of_many_heads():
    return ModelData({**CONFIG, "n_layers": 8, "n_heads": 1024, "d_head": 1}, {}, None)


def a_model_with_infinite_sizes():
    return ModelData({**CONFIG, "d_model": float("inf"), "n_ctx": 10**300}, {}, None)


def a_model_with_true_for_a_size():
    return ModelData({**CONFIG, "n_layers": True}, {}, None)


def a_hook_with_a_long_name():
    return HookData("blocks." + "9" * 100_000 + ".hook")


def a_long_word():
    return "9" * 7_000_000


def a_long_power():
    return "9**9**9**9**9"


def many_brackets():
    return "(" * 50_000 + "n" + ")" * 50_000


def a_deep_list():
    value = []
    for _ in range(39):
        value = [value]
    return value


def a_wide_list():
    return [[0]] * 200_000


def a_tensor_of_no_size_and_great_length():
    return torch.empty(0, 2**40)


def a_tensor_of_sixty_dimensions():
    return torch.ones([1] * 60)


def a_tensor_of_eight_bit_floats():
    return torch.ones(4).to(torch.float8_e4m3fn)


def a_word_of_marks():
    return "z" + "\u0301" * 3_000


def an_invisible_word():
    return "\u3164\u115f\u2800\u00ad\ufe0f" * 20


def raises_with_marks():
    raise ValueError("z" + "\u0301\u0489" * 300 + "\u202egpj.exe\u3164")


def prints_marks_and_terminal_codes():
    print("z" + "\u0301" * 5_000, "\x1b[2J\x1b]0;passed\x07", "\u202e\u2066\u3164")
    return 0


def is_named_by_marks():
    raise type("E\u0301\u0301\u0301\u0301\u0301\u0301", (Exception,), {})


def answers_before_it_is_asked():
    forge(*[done("right")] * 90)


def sends_thirty_megabytes_again_and_again():
    forge(*[done(torch.ones(2**20 * 7))] * 60)


def sends_small_messages_without_end():
    sink = channel()
    while True:
        wire.write_message(sink, {"event": "started"})


def sends_no_event():
    forge({}, {"event": None})


def sends_a_list():
    forge([1, 2, 3])


def sends_a_status_of_its_own():
    forge(done(0, status="passed"))


def sends_a_message_that_is_a_number():
    forge(done(0, message=10**1000))


def sends_an_argument_of_marks():
    forge(done(0, changed="a" + "\u0301" * 90 + "\x1b[2J"))


def sends_factors_of_text():
    forge_bytes(b'["dict", [["event", "done"], ["value", ["factored", ["list", [1]]]]]]')


def sends_a_model_of_lists():
    forge_bytes(b'["dict", [["value", ["model", ["dict", [["config", 1], ["evil", 2]]]]]]]')


def sends_keys_that_are_tensors():
    forge_bytes(b'["dict", [[["list", []], 1]]]')


def sends_a_tensor_that_is_not_there():
    forge_bytes(b'["dict", [["event", ["tensor", "7"]]]]')


def sends_a_float_that_is_a_program():
    forge_bytes(b'["float", "__import__(\'os\')"]')


def sends_brackets():
    forge_bytes(b"[" * 1_000_000)


def sends_half_a_message():
    sink = channel()
    sink.write(wire.HEADER.pack(wire.MAGIC, 2**20, 2**20) + b"[")
    sink.flush()
    time.sleep(30)


def sends_more_than_it_announced():
    sink = channel()
    sink.write(wire.pack(done("right")) + os.urandom(50_000))
    sink.flush()
    time.sleep(30)


def writes_from_many_threads():
    sink = channel()
    for _ in range(8):
        threading.Thread(target=lambda: [sink.write(b"IHW1") for _ in range(9_999)]).start()
    return 0


class Slow:
    """A function whose signature takes its time, before the call is said to have begun."""

    @property
    def __signature__(self):
        time.sleep(30)

    def __call__(self):
        return "right"


works_before_it_starts = Slow()


def replaces_the_module_that_answers():
    for name in [name for name in sys.modules if name.startswith("induction_heads.grading")]:
        vars(sys.modules[name]).clear()
    return "right"


def a_view_that_is_negated_later():
    return torch.ones(2, 2, dtype=torch.complex64).conj().imag


def sends_bools_that_are_neither():
    header = json.dumps({"0": {"dtype": "BOOL", "shape": [4], "data_offsets": [0, 4]}}).encode()
    block = struct.pack("<Q", len(header)) + header + bytes([0, 1, 2, 255])
    forge_bytes(
        b'["dict", [["event", "done"], ["status", "returned"], ["message", ""], '
        b'["value", ["tensor", "0"]]]]',
        block,
    )


class Everything(TorchFunctionMode):
    """Every operation of PyTorch gives the same."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return True


def leaves_a_mode_for_every_operation():
    Everything().__enter__()
    return torch.ones(2)


def raises_errors_in_errors():
    error = ValueError("right")
    for _ in range(50_000):
        error = ExceptionGroup("right", [error])
    raise error


def is_named_by_terminal_codes():
    code = raises_with_marks.__code__.replace(co_name="\x1b[2J\u202e", co_qualname="\x1b[2J\u202e")
    raises_with_marks.__code__ = code
    raises_with_marks()
