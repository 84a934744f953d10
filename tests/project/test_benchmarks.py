"""The benchmarks compare like with like, and say so honestly."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import ablation, composition, training_step
from benchmarks.circuit_products import one_head_at_a_time
from benchmarks.head_scores import SCORERS, naive_triple_loop, word_tokenizer
from benchmarks.ratios import Ratio, compare, times_in_turn
from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.ablation import METHODS, ablation_scores
from induction_heads.interp.activations import head_scores
from induction_heads.interp.circuits import copying_scores
from induction_heads.models.hand_built import hand_built
from induction_heads.models.loading import load_attention_only, load_model, to_transformer_lens


@pytest.mark.parametrize("model", ["python-2l", "induction"])
def test_the_fast_way_equals_the_triple_loop(model: str):
    trained = model == "python-2l"
    loaded = load_attention_only(model) if trained else hand_built(model, d_vocab=64, n_ctx=101)
    tokens = repeated_tokens(loaded.config.d_vocab, 50, batch=2, bos_token=0)
    fast, plain = head_scores(loaded, tokens, SCORERS), naive_triple_loop(loaded, tokens)
    for name in SCORERS:
        torch.testing.assert_close(fast[name], plain[name], atol=1e-5, rtol=1e-5)
    assert fast["induction"].max() > 0.5  # The effect is far above the tolerance.


def test_copying_scores_of_all_heads_equal_those_of_one_head_at_a_time():
    model = load_model("toy-2l")
    scores = copying_scores(model)
    torch.testing.assert_close(scores, one_head_at_a_time(model).detach(), atol=1e-4, rtol=1e-3)
    assert scores.max() - scores.min() > 1  # The effect is far above the tolerance.


def test_composition_is_compared_with_the_same_scores():
    model = composition.attention_of_gpt2_small(2, n_heads=4)
    ours, theirs = composition.composition_scores(model), composition.of_transformer_lens(model)
    for side in composition.SIDES:
        torch.testing.assert_close(
            ours[side][0, :, 1], theirs[side].detach()[0, :, 1], atol=1e-5, rtol=1e-4
        )
        assert ours[side][0, :, 1].min() > 0.01  # The effect is far above the tolerance.


@pytest.mark.long
def test_composition_takes_less_memory():
    assert composition.most_memory("ours", 2) < composition.most_memory("peer", 2)


def test_training_steps_are_compared_on_the_same_work():
    model = training_step.toy(64, 2)
    theirs = training_step.stepper(to_transformer_lens(model))()
    assert training_step.stepper(model)() == pytest.approx(theirs, abs=1e-3)


def test_fused_attention_is_the_same_layer_up_to_rounding():
    tokens = torch.randint(64, (4, 32), generator=torch.Generator().manual_seed(0))
    plain, fused = (training_step.toy(64, 2) for _ in range(2))
    training_step.with_fused_attention(fused)
    with torch.no_grad():
        torch.testing.assert_close(fused(tokens), plain(tokens), atol=1e-5, rtol=1e-4)


def test_ablation_and_its_estimate_are_compared_with_a_loop_over_the_same_tokens():
    model, tokens = load_model("toy-2l"), repeated_tokens(64, 12, batch=4)
    for method in METHODS:
        ours = ablation_scores(model, tokens, method=method, last=11)
        loop = ablation.loop_over_hooks(model, tokens, method, 11)
        torch.testing.assert_close(ours, loop, atol=1e-4, rtol=1e-3)
        assert loop.abs().max() > 0.05


def test_a_ratio_is_taken_round_by_round():
    ratio = compare("w", [1.0, 4.0, 3.0], "p", [2.0, 4.0, 12.0], demand=0.4, bound=0.2)
    assert (ratio.ratio, ratio.lowest, ratio.highest) == (0.5, 0.25, 1.0)
    assert ratio.verdict == "MISS"
    assert Ratio("w", "p", 0.4, 0.4, 0.4, demand=0.4).verdict == "ok"
    assert Ratio("w", "p", 9.0, 9.0, 9.0).verdict == ""


def test_ways_take_turns_after_a_round_that_does_not_count():
    calls = []
    times = times_in_turn(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2
    )
    assert calls == ["a", "b"] * 3
    assert [len(times[name]) for name in "ab"] == [2, 2]


def test_the_tokenizer_for_detect_head_reads_ids_after_a_bos():
    assert word_tokenizer(100)("7 12 7")["input_ids"] == [0, 7, 12, 7]


def test_the_command_explains_itself(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("benchmarks", run_name="__main__")
    assert ended.value.code == 0
    assert "--quick" in capsys.readouterr().out
