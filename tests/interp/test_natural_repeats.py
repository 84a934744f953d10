"""Repeats of text, what heads do there, shared keys, and the control head."""

import math

import pytest
import torch

from induction_heads.data.held_out_text import library_rows
from induction_heads.data.tokens import bos_token, follows_earlier_copy, repeated_tokens
from induction_heads.interp.ablation import matched_control_head
from induction_heads.interp.circuits import expand_kv_heads
from induction_heads.interp.natural_repeats import (
    copying_gain,
    match_lengths,
    natural_prefix_matching_score,
    natural_repeats,
    ratio_within_tokens,
    scores_by_match_length,
)
from induction_heads.interp.scores import prefix_matching_score
from induction_heads.models.hand_built import hand_built
from induction_heads.models.loading import load_model

TEXT = torch.randint(6, (5, 20), generator=torch.Generator().manual_seed(0))
FEW_IDS = torch.randint(3, (5, 20), generator=torch.Generator().manual_seed(0))


def causal_patterns(*shape: int) -> torch.Tensor:
    scores = torch.randn(*shape, shape[-1], generator=torch.Generator().manual_seed(1))
    hidden = torch.ones(shape[-1], shape[-1]).triu(1).bool()
    return scores.masked_fill(hidden, -math.inf).softmax(dim=-1)


def test_a_query_is_right_or_wrong_if_its_token_stood_earlier_and_neither_otherwise():
    right, wrong = natural_repeats(torch.tensor([[1, 2, 1, 3, 1, 2, 9]]))
    # Query 4 has two copies, followed by 2 and by 3: one of them is enough. 2 is followed by 9.
    assert right.tolist() == [[False, False, False, False, True, False]]
    assert wrong.tolist() == [[False, False, True, False, False, True]]


def test_on_a_repeated_block_all_repeats_are_right_and_the_score_is_the_prefix_matching_score():
    tokens = repeated_tokens(30, 8, batch=3)
    pattern = causal_patterns(3, 2, 16)
    right, wrong = natural_repeats(tokens)
    assert (right.sum(dim=1) == 7).all()
    assert not wrong.any()
    found = natural_prefix_matching_score(pattern[:, :, :-1, :-1], tokens[:, :-1])
    expected = prefix_matching_score(pattern[:, :, :-2, :-2], tokens[:, :-2]).mean(dim=0)
    torch.testing.assert_close(found["right"], expected)
    assert found["wrong"].isnan().all()


def test_an_even_head_scores_what_the_formula_says():
    i, V = 40, 12
    tokens = torch.randint(V, (20_000, i + 2), generator=torch.Generator().manual_seed(2))
    copies = (tokens[:, :i] == tokens[:, i : i + 1]).sum(dim=1)
    expected = i / V / (1 - (1 - 1 / V) ** i) / (i + 1)
    assert abs((copies[copies > 0] / (i + 1)).mean().item() - expected) < 1e-3


def test_a_pattern_whose_rows_are_no_weights_is_refused():
    with pytest.raises(ValueError, match="does not sum to 1"):
        natural_prefix_matching_score(torch.ones(5, 20, 20), TEXT)


def test_a_head_that_raises_the_copied_token_gains_and_a_shift_of_all_logits_does_not():
    silenced = torch.zeros(1, 6, 5)
    tokens = torch.tensor([[1, 2, 1, 3, 0, 0]])  # Query 2 copies 2, and 3 comes.
    clean = silenced.clone()
    clean[0, 2, 2] = 1
    expected = 1 - math.log((4 + math.e) / 5)
    assert copying_gain(clean, silenced, tokens) == pytest.approx(expected, abs=1e-6)
    assert copying_gain(clean + 3, silenced, tokens) == pytest.approx(expected, abs=1e-6)
    assert copying_gain(silenced, clean, tokens) == pytest.approx(-expected, abs=1e-6)


def test_query_heads_that_cannot_be_shared_out_are_refused():
    with pytest.raises(ValueError, match="6 query heads cannot share 4"):
        expand_kv_heads(torch.zeros(4, 2), 6)


@pytest.mark.usefixtures("as_for_a_reader")
def test_the_matched_control_is_of_the_layer_and_nearest_in_ratio():
    scores = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.9, 0.5, 0.0, 0.0]])
    sizes = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.5, 1.6]])
    assert matched_control_head(scores, sizes, (1, 0)) == (1, 3)
    assert matched_control_head(scores[:, :2], sizes[:, :2], (1, 0)) is None
    with pytest.raises(ValueError, match="one number of each for every head"):
        matched_control_head(scores, sizes[:1], (1, 0))


@pytest.mark.parametrize("name", ["gpt2-2l", "pythia-4l"])
def test_rows_of_the_library_begin_as_the_model_expects(name):
    model = load_model(name)
    tokens = library_rows(model, n_pos=32, batch=3, seed=1)
    assert tokens.shape == (3, 32)
    assert bool((tokens[:, 0] == 0).all()) == (bos_token(model) == 0)
    assert torch.equal(tokens, library_rows(model, n_pos=32, batch=3, seed=1))
    assert not torch.equal(tokens, library_rows(model, n_pos=32, batch=3, seed=2))
    with pytest.raises(ValueError, match="do not fit in a context of 128"):
        library_rows(model, n_pos=129)


def test_rows_of_different_files_share_no_passage():
    model = load_model("python-2l")
    first, second = (
        library_rows(model, n_pos=64, batch=200, files=slice(part, None, 2)) for part in (0, 1)
    )
    passages = [
        {tuple(row[i : i + 40].tolist()) for row in rows for i in (5, 20)}
        for rows in (first, second)
    ]
    assert not passages[0] & passages[1]
    with pytest.raises(ValueError, match="takes none of the"):
        library_rows(model, files=slice(0, 0))


def test_a_model_without_a_tokenizer_reads_no_text():
    with pytest.raises(ValueError, match="has no tokenizer"):
        library_rows(load_model("toy-2l"))


def test_the_hand_built_induction_head_attends_to_matches_of_any_kind():
    from induction_heads.interp.activations import attention_patterns
    from induction_heads.models.hand_built import hand_built_heads

    model = hand_built("induction")
    layer, head = hand_built_heads("induction")["induction"]
    tokens = torch.randint(
        model.config.d_vocab, (8, model.config.n_ctx), generator=torch.Generator().manual_seed(3)
    )
    found = natural_prefix_matching_score(attention_patterns(model, tokens)[layer], tokens)
    assert found["right"][head] > 0.9
    assert found["wrong"][head] > 0.9


def test_match_lengths_are_those_of_the_plain_definition():
    lengths = match_lengths(FEW_IDS)
    for row, found in zip(FEW_IDS.tolist(), lengths.tolist(), strict=True):
        for query in range(len(row)):
            for key in range(len(row)):
                k = 0
                while key <= query and k < key and row[key - 1 - k] == row[query - k]:
                    k += 1
                assert found[query][key] == k
    assert torch.equal(lengths > 0, follows_earlier_copy(FEW_IDS))
    assert lengths.max() > 2


def test_scores_by_match_length_take_each_query_by_its_longest_match():
    pattern = causal_patterns(5, 20)
    scores = scores_by_match_length(pattern, FEW_IDS, longest=3)
    right, wrong = natural_repeats(FEW_IDS)
    expected: dict[tuple[int, bool], list[float]] = {}
    for b, row in enumerate(match_lengths(FEW_IDS).tolist()):
        for query, lengths in enumerate(row[:-1]):
            if max(lengths):
                attended = sum(pattern[b, query, key].item() for key, k in enumerate(lengths) if k)
                kind = min(max(lengths), 3), bool(right[b, query])
                expected.setdefault(kind, []).append(attended)
    for k in (1, 2, 3):
        hits, misses = expected[k, True], expected[k, False]
        assert scores["right"][k - 1].item() == pytest.approx(sum(hits) / len(hits), abs=1e-6)
        assert scores["wrong"][k - 1].item() == pytest.approx(sum(misses) / len(misses), abs=1e-6)
        assert scores["queries"][k - 1] == len(hits) + len(misses)
        share = len(hits) / (len(hits) + len(misses))
        assert scores["share_right"][k - 1].item() == pytest.approx(share, abs=1e-6)
    assert scores["queries"].sum() == (right | wrong).sum()
    with pytest.raises(ValueError, match="pattern"):
        scores_by_match_length(torch.ones(5, 20, 20), FEW_IDS)


def test_the_ratio_within_tokens_is_blind_to_which_tokens_a_head_prefers():
    """Attention that depends on the token alone gives 1; doubled at right repeats it gives 2."""
    rows = torch.randint(12, (40, 24), generator=torch.Generator().manual_seed(2))
    lengths, right = match_lengths(rows), natural_repeats(rows)[0]
    level = 0.02 * (1 + rows)  # Of the token at the query.
    right = torch.cat([right, torch.zeros(40, 1, dtype=torch.bool)], dim=1)

    def pattern_with(on_matches: torch.Tensor) -> torch.Tensor:
        matches = (lengths > 0).float()
        pattern = matches * (on_matches / matches.sum(-1).clamp_min(1))[..., None]
        pattern[..., 0] += 1 - pattern.sum(dim=-1)
        return pattern

    assert ratio_within_tokens(pattern_with(level), rows) == pytest.approx(1, abs=1e-4)
    doubled = torch.where(right, 2 * level, level)
    assert ratio_within_tokens(pattern_with(doubled), rows) == pytest.approx(2, abs=1e-4)
    plain = natural_prefix_matching_score(pattern_with(1.0 * (rows == 3)), rows)
    assert plain["right"] / plain["wrong"] != pytest.approx(1, abs=0.05)
    assert math.isnan(ratio_within_tokens(torch.eye(3)[None], torch.tensor([[0, 1, 2]])))
