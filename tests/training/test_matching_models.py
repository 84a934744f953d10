"""Rows of the matching tasks hold what they promise, and the shipped models follow the rules."""

import itertools
import json
import math

import pytest
import torch
from click.testing import CliRunner
from drawn import reference_function

from induction_heads.cli.train import train
from induction_heads.data.matching_rows import (
    FARTHEST,
    GAP,
    N_WORDS,
    PROBED_KEY,
    concept_rows,
    gap_rows,
    lag_rows,
    lag_table,
    neighbor_rows,
    ngram_rows,
    ring_distance,
    ring_probe_rows,
    same_concept,
    translation_rows,
    word_dictionary,
)
from induction_heads.data.repeats import repeat_statistics
from induction_heads.data.tokens import after, before, earlier_matches, repeated_tokens
from induction_heads.interp.activations import head_scores
from induction_heads.interp.matching_scores import (
    attention_by_distance,
    fuzzy_induction_score,
    lag_posterior,
    match_and_copy_score,
    similarity_curves,
)
from induction_heads.interp.scores import prefix_matching_score
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.interface import parameter_count
from induction_heads.models.loading import load_model, zoo_folder
from induction_heads.models.ngram_head import ngram_induction_layer
from induction_heads.training import matching_models
from induction_heads.training.matching_models import (
    NAME,
    all_runs,
    answer_loss,
    attention_to,
    differences_from_shipped,
    load_matching_model,
    measured,
    measured_rows,
    most_by_rule,
    new_matching_model,
    run_name,
    stored_runs,
    train_matching_model,
)
from induction_heads.training.matching_tasks import TASKS
from induction_heads.training.records import shipped_record

each_task = pytest.mark.parametrize("name", TASKS)


def rows(sample, seed: int = 0):
    return sample(torch.Generator().manual_seed(seed))


@each_task
def test_rows_fit_the_model_and_depend_on_the_seed_only(name: str):
    task = TASKS[name]
    tokens = rows(task.sample)
    assert tokens.shape == (32, task.config.n_ctx)
    assert tokens.min() >= 0
    assert tokens.max() < task.config.d_vocab
    assert torch.equal(tokens, rows(task.sample))
    assert not torch.equal(tokens, rows(task.sample, 1))


@each_task
def test_the_rule_and_its_control_mark_different_keys_that_the_query_sees(name: str):
    measured_on = measured_rows(name)
    assert not (measured_on.marked & measured_on.control).any()
    for mask in (measured_on.marked, measured_on.control):
        assert not mask.triu(1).any()
        assert mask.any(dim=-1).sum() > 500


def test_no_word_of_a_concept_row_comes_back():
    tokens = rows(concept_rows)
    assert repeat_statistics(tokens)["repeated"] == 0
    assert earlier_matches(tokens, similar=same_concept()).any(dim=-1).float().mean() > 0.4


def test_copies_of_a_token_on_the_ring_are_at_most_two_steps_apart():
    steps = ring_distance()
    for row in rows(neighbor_rows).tolist():
        largest = {
            period: max(steps[a, b] for a, b in zip(row, row[period:], strict=False))
            for period in range(6, 13)
        }
        assert min(largest.values()) <= 2


def test_only_one_token_of_a_probe_row_is_near_the_last():
    for distance in range(FARTHEST + 1):
        tokens = ring_probe_rows(torch.Generator().manual_seed(0), distance, batch=64)
        steps = ring_distance()[tokens[:, -1:], tokens[:, :-1]]
        assert (steps[:, PROBED_KEY - 1] == distance).all()
        others = torch.arange(tokens.shape[1] - 1) != PROBED_KEY - 1
        assert steps[:, others].min() >= FARTHEST
    with pytest.raises(ValueError, match="distance=13"):
        ring_probe_rows(torch.Generator(), 13)


def test_matching_falls_with_the_distance_on_the_ring_of_training_only():
    last = stored_runs("neighbors")[0][-1]
    attention, copying = similarity_curves(load_matching_model("neighbors"))
    torch.testing.assert_close(
        attention, torch.tensor(last["attention_by_distance"]), atol=0.02, rtol=0
    )
    torch.testing.assert_close(copying, torch.tensor(last["copying"]), atol=0.02, rtol=0)
    assert (copying[:7, 0].diff() < 0).all()
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    elsewhere, _ = similarity_curves(load_matching_model("neighbors"), order=order)
    assert elsewhere[0].max() > 3 * elsewhere[1, 1].max()


def test_a_curve_is_one_number_at_distance_zero_for_an_exact_matcher():
    tokens = torch.stack([torch.arange(8), torch.arange(8) + 20]).repeat(1, 2)
    pattern = ngram_induction_layer(tokens, 1)
    pattern[..., 0] += 1 - pattern.sum(dim=-1)
    curve = attention_by_distance(pattern, tokens, ring_distance())
    assert curve[0] == 1
    assert curve[9:].isnan().all()  # No two tokens of a row are so far apart.
    heads = attention_by_distance(pattern[:, None].expand(-1, 3, -1, -1), tokens, ring_distance())
    assert torch.equal(heads[2].nan_to_num(), curve.nan_to_num())


def test_one_token_leaves_two_successors_and_two_leave_one():
    tokens = rows(ngram_rows)
    for row in tokens.tolist():
        length = next(p for p in range(6, 17) if row[:p] == row[p : 2 * p])
        block = row[:length] + row[:1]
        pairs = list(itertools.pairwise(block))
        assert len(set(pairs)) == len(pairs)
        assert {row[:length].count(token) for token in row[:length]} == {2}


def test_the_answer_of_a_translation_row_is_the_translation_of_the_next_word():
    tokens, g = rows(translation_rows), word_dictionary()
    row = tokens[0].tolist()
    period = next(place for place, token in enumerate(row) if token >= N_WORDS)
    assert row[period : 2 * period] == g[tokens[0, :period]].tolist()
    assert sorted(g.tolist()) == list(range(N_WORDS, 2 * N_WORDS))


def test_after_a_gap_comes_what_followed_the_token_before_it():
    measured_on = measured_rows("gaps")
    right = []
    for row, query, key in measured_on.marked.nonzero().tolist():
        tokens = measured_on.tokens[row]
        assert tokens[query] == GAP
        assert tokens[key - 1] == tokens[query - 1]
        right += [bool(tokens[key] == tokens[query + 1])] if query + 1 < len(tokens) else []
    # The last token of a block was followed by the second pass, and is followed by a fresh block.
    assert 0.8 < sum(right) / len(right) < 1
    assert (rows(gap_rows) == GAP).any()


@pytest.mark.parametrize("lag", [1, 2])
def test_the_posterior_finds_the_lag(lag: int):
    tokens = lag_rows(torch.Generator().manual_seed(3), lag=lag, batch=200)
    belief = lag_posterior(tokens, lag_table())[:, :, lag - 1]
    assert belief[:, :2].allclose(torch.tensor(0.5))
    assert belief[:, -1].mean() > 0.95
    assert belief[:, -1].mean() > belief[:, 4].mean() > 0.6


def test_before_undoes_after():
    mask = earlier_matches(repeated_tokens(9, 4, batch=2, seed=0))
    assert torch.equal(before(after(mask)), mask)


def test_matches_of_no_token_are_refused():
    with pytest.raises(ValueError, match="n=0"):
        earlier_matches(torch.zeros(1, 4, dtype=torch.long), n=0)


def test_the_hard_coded_pattern_has_the_highest_score_and_a_prefix_of_one_is_the_plain_one():
    tokens = rows(ngram_rows)
    pattern = ngram_induction_layer(tokens, 2)
    pattern[..., 0] += 1 - pattern.sum(dim=-1)  # Rows without a match look at the first token.
    score = reference_function("ngram_prefix_score")
    assert score(pattern, tokens, 2).allclose(torch.ones(32))
    assert torch.equal(score(pattern, tokens, 1), prefix_matching_score(pattern, tokens))


def test_exact_matching_alone_earns_no_fuzzy_score():
    block = torch.arange(8)[None]  # Eight different concepts.
    exact, other_words = torch.cat([block, block], 1), torch.cat([block, block + 16], 1)
    pattern = ngram_induction_layer(exact, 1)
    pattern[..., 0] += 1 - pattern.sum(dim=-1)
    assert fuzzy_induction_score(pattern, other_words, same_concept()).item() == 1
    with pytest.raises(ValueError, match="no key is marked"):
        fuzzy_induction_score(pattern, exact, same_concept())


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.ngram])
def test_a_model_with_a_fixed_head_is_as_large(name: str):
    learned, fixed = (new_matching_model(name, 0, ngram=given) for given in (False, True))
    assert parameter_count(learned) == parameter_count(fixed)
    tokens = rows(TASKS[name].sample)
    assert fixed(tokens).shape == learned(tokens).shape


def test_a_fixed_head_is_refused_where_none_is_tried():
    with pytest.raises(ValueError, match="lags"):
        new_matching_model("lags", 0, ngram=True)


@each_task
def test_the_shipped_model_scores_what_the_record_says(name: str):
    model, measured_on = load_matching_model(name), measured_rows(name)
    now, then = measured(model, measured_on), stored_runs(name)[0][-1]
    assert now["loss"] == pytest.approx(then["loss"], abs=0.02)
    for which in ("marked", "control"):
        torch.testing.assert_close(
            torch.tensor(now[which]), torch.tensor(then[which]), atol=0.01, rtol=0
        )
    untrained = answer_loss(AttentionOnly(model.config).requires_grad_(False), measured_on)
    assert not untrained < now["loss"] + 0.3


def test_attention_is_averaged_over_the_queries_that_have_a_key():
    measured_on = measured_rows("translation")
    even = torch.ones(32, 32).tril()
    pattern = (even / even.sum(dim=-1, keepdim=True)).expand(1, len(measured_on.tokens), 2, 32, 32)
    perfect = measured_on.marked[None, :, None].float().expand(1, -1, 2, -1, -1)
    assert attention_to(perfect, measured_on.marked).allclose(torch.ones(1, 2))
    assert attention_to(pattern, measured_on.marked).max() < 0.2


def test_the_head_that_is_told_is_the_one_in_which_rule_and_control_differ_most():
    row = {"marked": [[0.9, 0.2], [0.6, 0.1]], "control": [[0.8, 0.1], [0.1, 0.3]]}
    assert most_by_rule(row) == (0.6, 0.1)


@pytest.mark.parametrize("name", ["copies", "gaps", "translation"])
def test_three_tasks_are_learned_in_every_seed(name: str):
    for run in stored_runs(name):
        rule, control = most_by_rule(run[-1])
        assert rule > 0.7
        assert control < 0.1


def test_lags_needs_its_second_layer():
    assert len(new_matching_model("lags", 0, one_layer=True).layers) == 1
    both, one = (
        [run[-1]["loss"] for run in stored_runs("lags", one_layer=one)] for one in (False, True)
    )
    assert max(both) + 0.05 < min(one)


def test_every_kept_run_is_in_the_record():
    record = shipped_record(NAME)
    assert list(record["runs"]) == [run_name(*run) for run in all_runs()]
    assert differences_from_shipped(record, record) == []
    worse = json.loads(json.dumps(record))
    worse["runs"]["copies-s0"][-1]["loss"] += 0.2
    assert "copies-s0" in differences_from_shipped(worse, record)[0]


def test_a_short_run_is_the_same_twice(monkeypatch):
    from dataclasses import replace

    task = TASKS["translation"]
    short = replace(task, settings=replace(task.settings, steps=3))
    monkeypatch.setitem(TASKS, "translation", short)
    first, again = (train_matching_model("translation", 1).losses for _ in range(2))
    assert first == again
    assert first[0] == pytest.approx(math.log(64), abs=0.3)


def test_the_folder_is_small_and_loads_by_name():
    size = sum(path.stat().st_size for path in zoo_folder("matching").rglob("*") if path.is_file())
    assert size < 1e6
    assert load_model("matching/lags").cfg.n_heads == 4
    assert "induction-heads train matching" in (zoo_folder("matching") / "card.md").read_text()
    with pytest.raises(KeyError, match="Tasks: copies"):
        load_matching_model("copy")


def test_the_command_refuses_a_seed_of_its_own():
    result = CliRunner().invoke(train, ["matching", "--seed", "1"])
    assert result.exit_code == 2
    assert "has its own seeds" in result.output


def test_the_command_says_which_runs_differ(monkeypatch):
    record = shipped_record(NAME)
    other = json.loads(json.dumps(record))
    other["runs"]["lags-s1"][-1]["loss"] += 1
    monkeypatch.setattr(matching_models, "train_and_measure", lambda out, progress: other)
    result = CliRunner().invoke(train, ["matching", "--quiet"])
    assert result.exit_code == 1
    assert "lags-s1" in result.output


def test_matching_without_a_shift_is_prefix_matching():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(5, (4, 16), generator=generator)
    future = torch.ones(16, 16, dtype=torch.bool).triu(1)
    scores = torch.randn(4, 2, 16, 16, generator=generator)
    pattern = scores.masked_fill(future, -torch.inf).softmax(dim=-1)
    plain = prefix_matching_score(pattern, tokens)
    assert torch.equal(match_and_copy_score(pattern, tokens, back=0, ahead=1), plain)
    assert (match_and_copy_score(pattern, tokens, back=1, ahead=1) - plain).abs().max() > 0.01


def test_gaps_is_matched_by_the_token_before_the_query():
    measured_on, model = measured_rows("gaps"), load_matching_model("gaps")
    best = {
        back: head_scores(
            model,
            measured_on.tokens,
            {"score": lambda p, back=back: match_and_copy_score(p, measured_on.tokens, back, 1)},
        )["score"].max()
        for back in (0, 1)
    }
    assert best[1] > 0.35 > 0.15 > best[0]


@pytest.mark.parametrize(("back", "ahead"), [(-1, 1), (0, -1), (16, 0), (0, 16)])
def test_a_shift_out_of_the_row_is_refused(back: int, ahead: int):
    with pytest.raises(ValueError, match="both lie between 0 and 15"):
        match_and_copy_score(torch.zeros(1, 16, 16), torch.zeros(1, 16).long(), back, ahead)
