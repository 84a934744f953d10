from induction_heads.grading import review
from induction_heads.grading.own_code import library_functions
from induction_heads.grading.review import Look, looks, package_calls, resemblances

NAMES = ["causal_mask", "attention_pattern", "induction_score", "previous_token_score"]
ANSWER = """
def {name}(pattern, period):
    n_pos = pattern.shape[-1]
    total = 0.0
    for query in range(period, n_pos):
        row = pattern[..., query, :]
        total = total + row[..., query - period + 1]
    count = max(n_pos - period, 1)
    return total / count if n_pos > period else total * 0
"""
OTHER = """
def induction_score(pattern, period):
    stripe = pattern.diagonal(offset=1 - period, dim1=-2, dim2=-1)
    behind = stripe[..., 1:]
    if behind.shape[-1] == 0:
        raise ValueError("too short")
    return behind.mean(dim=-1).clamp(0, 1)
def previous_token_score(pattern):
    below = pattern.diagonal(-1, -2, -1)
    return below.sum(-1) / (pattern.shape[-1] - 1)
"""


def test_calls_of_the_package_are_found_under_any_name():
    assert {"causal_mask", "attention_pattern"} <= set(library_functions())
    for source, expected in (
        (
            "from induction_heads.models.attention import causal_mask\ncausal_mask(3)",
            ["causal_mask"],
        ),
        ("from induction_heads.models.attention import causal_mask as m\nm(3)", ["causal_mask"]),
        ("from induction_heads.models import attention as a\na.causal_mask(3)", ["causal_mask"]),
        ("import induction_heads as i\ni.models.attention.causal_mask(3)", ["causal_mask"]),
        ("from induction_heads.models.attention import *\ncausal_mask(3)", ["causal_mask"]),
        ("import induction_heads as i\ngetattr(i, 'x')", ["…"]),
        # The name of the package is nowhere in the text, or in letters that Python reads as it.
        ("import importlib\nimportlib.import_module('induction' + '_heads')", ["…"]),
        ("from importlib import import_module as m, import_module\nimport_module('x')", ["…"]),
        ("__import__('induction' + '_heads')", ["…"]),
        ("import sys\nsys.modules['induction' + '_heads']", ["…"]),
        ("import ｉnduction_heads as i\ngetattr(i, 'x')", ["…"]),
        ("model.eval()\nlist(model.modules())", []),
        ("from induction_heads.models.attention import causal_mask", []),
        ("from induction_heads import load_model\ndef causal_mask(n): return n", []),
        ("def causal_mask(n): return n\ncausal_mask(3)\ngetattr(n, 'x')", []),
        ("def broken(:", []),
    ):
        assert package_calls([source], NAMES) == expected, source


def test_a_copy_with_other_names_and_order_is_found_and_independent_answers_are_not():
    mine = ANSWER.format(name="induction_score") + "def causal_mask(n):\n    return n\n"
    copied = mine.replace("total", "s").replace("query", "i").replace("row", "r")
    found = resemblances({"ada": [mine], "bob": [copied], "eve": [OTHER]}, NAMES)
    assert {name: (r.other, round(r.share, 6)) for name, r in found.items()} == {
        "ada": ("bob", 1.0),
        "bob": ("ada", 1.0),
    }


def test_stubs_short_answers_and_other_functions_are_not_compared():
    stub = 'def causal_mask(n):\n    """Task."""\n    raise NotImplementedError\n'
    short = "def causal_mask(n):\n    return torch.ones(n, n).tril().bool()\n"
    mine = ANSWER.format(name="my_plot")
    deep = f"def causal_mask(n):\n    return {'-' * 900}n\n"
    for text in (stub * 30, short, mine, "def broken(:", deep):
        assert resemblances({"ada": [text], "bob": [text]}, NAMES) == {}, text


def test_what_nearly_everybody_writes_weighs_little():
    common = ANSWER.format(name="induction_score")
    own = ANSWER.format(name="previous_token_score")
    unlike = [
        own.replace("total + row", f"total * {n} - row").replace("max(n_pos", f"max({n} * n_pos")
        for n in range(9)
    ]
    sources = {f"s{n}": [common, text] for n, text in enumerate(unlike)}
    sources["copy"] = sources["s3"]
    found = resemblances(sources, NAMES)
    assert (found["s3"].other, found["copy"].other) == ("copy", "s3")
    assert set(found) == {"s3", "copy"}


def test_a_look_at_a_class_has_every_student():
    calls = "from induction_heads.models.attention import causal_mask\ncausal_mask(1)"
    seen = looks({"ada": [calls], "bob": []}, NAMES)
    assert seen == {"ada": Look(("causal_mask",)), "bob": Look()}
    assert review.WORTH_SHOWING == 0.7  # The number in the summary and in the page for teachers.


def test_a_number_of_too_many_digits_for_decimals_is_read():
    number = f"def causal_mask(n):\n    return 0x{'f' * 5000}\n"
    long = number + ANSWER.format(name="induction_score")
    assert resemblances({"ada": [number], "bob": [number]}, NAMES) == {}
    assert resemblances({"ada": [long], "bob": [long]}, NAMES)["ada"].other == "bob"
