"""Heads on one's own text: the numbers are those of the plain definitions."""

from types import SimpleNamespace

import pytest
import torch

from induction_heads.data.python_text import standard_library_source
from induction_heads.interp.ablation import head_hooks
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.natural_repeats import (
    natural_prefix_matching_score,
    natural_repeats,
    scores_by_match_length,
)
from induction_heads.interp.own_text import rows_of_text, text_report
from induction_heads.models.loading import load_model

INDUCTION = [(1, 0), (1, 3)]


@pytest.fixture(scope="module")
def measured():
    """python-2l, rows of a file of the standard library, and the report on them."""
    model = load_model("python-2l")
    text = standard_library_source()["argparse.py"][:12_000]
    report = text_report(model, text, "argparse.py", INDUCTION)
    return model, rows_of_text(model, text)[0], report


def test_rows_are_stretches_of_the_text_with_bos(measured):
    model, tokens, report = measured
    assert tokens.shape == (report.rows, report.positions) == (24, 128)
    assert (tokens[:, 0] == 0).all()
    ids = model.tokenizer(
        standard_library_source()["argparse.py"][:12_000], add_special_tokens=False
    )["input_ids"]
    assert report.n_tokens == len(ids)
    assert tokens[0, 1:].tolist() == ids[:127]
    assert tokens[-1, 1:].tolist() == ids[-127:]


def test_attention_is_that_of_the_plain_definitions(measured):
    model, tokens, report = measured
    patterns = attention_patterns(model, tokens)
    score = natural_prefix_matching_score(patterns.movedim(0, 1), tokens)
    for head in report.heads:
        place = head.layer, head.head
        assert head.right == pytest.approx(score["right"][place].item(), abs=1e-5)
        assert head.wrong == pytest.approx(score["wrong"][place].item(), abs=1e-5)
        by_length = scores_by_match_length(patterns[head.layer, :, head.head], tokens)
        assert head.by_length == pytest.approx(by_length["right"].tolist(), abs=1e-5)
    assert [head.name for head in report.heads[:2]] == ["L1H0", "L1H3"]
    others = [head.right for head in report.heads[2:]]
    assert others == sorted(others, reverse=True)


def test_losses_and_queries_by_match_length_cover_every_query(measured):
    model, tokens, report = measured
    assert sum(row.queries for row in report.matches) == tokens[:, 1:].numel()
    with torch.inference_mode():
        loss = per_token_loss(model(tokens), tokens)
    right = natural_repeats(tokens)[0]
    total = sum(r.queries * (r.share_right or 0) * (r.loss_right or 0) for r in report.matches)
    assert total == pytest.approx(loss[right].sum().item(), rel=1e-4)


def test_silence_is_that_of_plain_ablation_and_its_controls_are_other_heads(measured):
    model, tokens, report = measured
    together, controls, *alone = report.silences
    assert together.heads == ("L1H0", "L1H3")
    assert set(controls.heads).isdisjoint(together.heads)
    assert [one.heads for one in alone] == [("L1H0",), ("L1H3",)]
    right = natural_repeats(tokens)[0]
    with torch.inference_mode():
        without = model.run_with_hooks(tokens, fwd_hooks=head_hooks(INDUCTION))
        rise = per_token_loss(without, tokens) - per_token_loss(model(tokens), tokens)
    assert together.rise["right"] == pytest.approx(rise[right].mean().item(), abs=1e-5)
    assert together.rise["right"] > 1 > 5 * controls.rise["right"]
    assert together.spread["right"] < together.rise["right"]


def test_a_text_without_repeats_has_no_numbers_for_them():
    model = load_model("python-2l")
    vocabulary = [model.tokenizer.decode([i]) for i in range(300, 340)]
    kept = "".join(vocabulary)
    report = text_report(model, kept, "words", [])
    assert report.silences == ()
    if not any(row.queries for row in report.matches[1:]):
        assert all(head.right is None for head in report.heads)


def test_ids_beyond_the_vocabulary_and_short_texts_are_refused(as_for_a_reader):
    config = SimpleNamespace(d_vocab=10, bos_token=None, n_ctx=64)
    model = SimpleNamespace(
        cfg=config, tokenizer=lambda text, **_: {"input_ids": [3] * (len(text) - 1) + [99]}
    )
    with pytest.raises(ValueError, match="gives the id 99, but the model has 10"):
        rows_of_text(model, "x" * 40)
    with pytest.raises(ValueError, match="This text has 3 tokens"):
        rows_of_text(model, "xxx")
