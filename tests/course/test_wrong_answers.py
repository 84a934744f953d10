"""Wrong answers beside the known mistakes: each is refused, and no label says what is not true."""

from collections.abc import Callable
from typing import Any

import pytest
from drawn import ROOT, sheet

from induction_heads.course.registry import find_exercise
from induction_heads.grading.judge import judge_function

WRONG: dict[str, tuple[str, dict[str, str], str | None]] = {
    "BOS id 0 can be drawn": (
        "make_repeated_tokens",
        {"if token != bos]": "if not bos or token != bos]"},
        None,
    ),
    "the exponential of large scores": (
        "attention_pattern",
        {"return visible.softmax(dim=-1)": "e = visible.exp(); return e / e.sum(-1, keepdim=True)"},
        "large scores overflow",
    ),
    "the positions are nowhere": (
        "previous_token_readout",
        {
            "model.W_E[tokens] + model.W_pos[:n_pos]": "model.W_E[tokens]",
            "(model.W_E + model.W_pos[i - 1])": "model.W_E",
        },
        None,
    ),
    "the positions are in the pattern alone": (
        "previous_token_readout",
        {
            "pattern @ residual @ W_V": "pattern @ model.W_E[tokens] @ W_V",
            "(model.W_E + model.W_pos[i - 1])": "model.W_E",
        },
        "the positions are left out of what is written and of the candidates",
    ),
    "another order of the factors": (
        "composition_score",
        {"W_A @ W_B": "W_B @ W_A"},
        "the product is W_B W_A",
    ),
    "a feature is on above 1": ("dead_features", {"activations > 0": "activations > 1"}, None),
    "on above 0.45, whatever the threshold": (
        "feature_detection_scores",
        {"threshold * largest": "0.45 * largest"},
        None,
    ),
    "n + 1 tokens": (
        "ngram_prefix_score",
        {"_ngram_matches(tokens, n))": "_ngram_matches(tokens, n + 1))"},
        "one token too many is matched",
    ),
    "n + 2 tokens": (
        "ngram_prefix_score",
        {"_ngram_matches(tokens, n))": "_ngram_matches(tokens, n + 2))"},
        None,
    ),
    "half of the stripe": ("induction_score", {"-period:": "-(period // 2) :"}, None),
    "thirds": ("in_context_learning_score", {"// 4": "// 3"}, None),
    "the harmonic mean of the steps": (
        "phase_change_step",
        {"math.sqrt(a * b)": "2 * a * b / (a + b)"},
        None,
    ),
    "d_head + 1": (
        "attention_pattern",
        {".shape[-1])\n    # e^": ".shape[-1] + 1)\n    # e^"},
        None,
    ),
    "three times the mean share": ("logit_copying_score", {"4 * share": "3 * share"}, None),
    "the median share": ("logit_copying_score", {"share.mean()": "share.median()"}, None),
    "a mean over two rows": (
        "mean_ablation_hook",
        {"z[:, :, head].mean": "z[:2, :, head].mean"},
        None,
    ),
    "two queries keep their stripe": (
        "stripe_knockout",
        {"arange(n_pos - period, n_pos)": "arange(n_pos - period + 2, n_pos)"},
        None,
    ),
    "two counts as the prior": ("bayes_bigram", {"torch.ones(": "2 * torch.ones("}, None),
    "alpha cut off": ("smeared_keys", {"alpha.sigmoid()": "alpha.clamp(0, 1)"}, None),
    "one more head": ("function_vector", {"[:n_heads]": "[: n_heads + 1]"}, None),
    "two heads more are left out": (
        "exclusive_heads",
        {"argsort(descending=True)[:n_heads]": "argsort(descending=True)[: n_heads + 2]"},
        None,
    ),
    "a tenth above the threshold": (
        "candidate_heads",
        {"score >= threshold": "score >= 1.1 * threshold"},
        None,
    ),
    "twice the limit": ("matched_control_head", {"< below": "< 2 * below"}, None),
    "half of the penalty": ("sae_loss", {"penalty * strength": "penalty / 2 * strength"}, None),
    "one feature more": ("transcoder_parts", {"(strengths, k,": "(strengths, k + 1,"}, None),
    "the spread with praise": ("gated_effect", {"(difference.std()": "(praised.std()"}, None),
}
"""What is wrong → the exercise, the change of its solution, and the known mistake that it is."""


def changed_solution(name: str, changes: dict[str, str]) -> Callable[..., Any]:
    """The solution of an exercise with some of its text replaced."""
    path = ROOT / "solutions" / f"{find_exercise(name)[0]}.py"
    before, found, after = path.read_text(encoding="utf-8").partition(f"def {name}(")
    for old, new in changes.items():
        assert old in after, old
        after = after.replace(old, new, 1)
    namespace: dict[str, Any] = {"__name__": "changed"}
    exec(compile(before + found + after, str(path), "exec"), namespace)
    return namespace[name]


@pytest.mark.parametrize("what", WRONG)
def test_wrong_answer_is_refused_and_its_label_is_true(what: str):
    name, changes, mistake = WRONG[what]
    result = judge_function(sheet(name), changed_solution(name, changes))
    assert result.status == "failed", result.message
    assert result.mistake == mistake, result.message
