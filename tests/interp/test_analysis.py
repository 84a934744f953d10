"""The analysis finds the true heads of trained and hand-built models and refuses every decoy."""

import json
import statistics
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.analysis import (
    COPYING,
    PATTERN_KINDS,
    analyze,
    detect_head_types,
    earned_kinds,
    find_induction_heads,
    find_previous_token_heads,
    make_probes,
    probe_scores,
)
from induction_heads.interp.probes import LONGEST_PROBE
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig
from induction_heads.models.hand_built import KINDS, hand_built, hand_built_heads
from induction_heads.models.loading import load_attention_only, load_model, to_transformer_lens

# What `analyze` must call the layer-1 head of each hand-built model, and nothing else.
NAMES = {
    "induction": "induction",
    "duplicate_token": "duplicate_token",
    "pointer": "duplicate_token",
    "q_composition": "induction",
    "long_prefix": "induction",
    "bos_sink": "first_token",
    "anti_induction": "anti_induction",
    "no_copying": "induction_pattern_only",
}


@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        # Each kind with one of the three vocabularies and BOS tokens; with all three in test-all.
        pytest.param(kind, seed, marks=() if seed == i % 3 else pytest.mark.long)
        for i, kind in enumerate(KINDS)
        for seed in range(3)
    ],
)
def test_every_hand_built_model_gets_its_names_and_no_other(kind: str, seed: int):
    options = {"n_heads": 3, "seed": seed}
    report = analyze(
        hand_built(kind, **options, d_vocab=40 + 8 * seed, bos_token=[None, 0, 3][seed])
    )
    expected = {
        place: (NAMES.get(name, name),)
        for name, place in hand_built_heads(kind, **options).items()
        if name not in ("fixed_offset", "two_back")
    }
    found = {(head.layer, head.head): head.kinds for head in report.heads if head.kinds}
    assert found == expected


@pytest.mark.parametrize(
    "offset", [3, 7, 15, 20, 23, 31]
)  # 15, 23, 31: one less than a probe distance
def test_no_fixed_offset_passes_for_induction(offset: int):
    model = hand_built("fixed_offset", offset=offset, d_vocab=64)
    assert find_induction_heads(model) == []
    assert analyze(model).found("induction") == []


@pytest.mark.parametrize("name", ["toy-2l", "markov-2l", "python-2l"])
def test_trained_models_have_the_circuit_where_theory_puts_it(name: str):
    report = analyze(load_model(name), name=name)
    assert [layer for layer, *_ in report.found("previous_token")] == [0]
    induction = report.found("induction")
    assert induction
    assert all(layer == 1 for layer, *_ in induction)
    assert [(h[0], h[1]) for h in find_previous_token_heads(load_attention_only(name))] == [
        h[:2] for h in report.found("previous_token")
    ]


@pytest.mark.parametrize(
    ("name", "heads"),
    [("gpt2-2l", {(1, 0), (1, 3)}), ("llama-4l", {(3, 3)}), ("pythia-4l", {(2, 1), (2, 3)})],
)
def test_induction_heads_are_found_in_three_architectures(name: str, heads: set):
    report = analyze(load_model(name), seeds=2, batch=4)
    assert {place[:2] for place in report.found("induction")} == heads
    for head in report.heads:
        assert (head.repeat_copying > COPYING) == ((head.layer, head.head) in heads)
        assert (head.repeat_logits > 0.5) == ((head.layer, head.head) in heads)


def test_one_layer_has_neither():
    report = analyze(load_attention_only("toy-1l"))
    assert report.found("previous_token") == report.found("induction") == []


def test_both_forms_of_a_model_give_the_same_report():
    model = load_attention_only("toy-2l")
    ours, theirs = analyze(model), analyze(to_transformer_lens(model))
    for kind in PATTERN_KINDS:
        torch.testing.assert_close(ours.scores(kind), theirs.scores(kind), atol=1e-4, rtol=1e-3)


def test_heads_are_sorted_by_score():
    scores = [score for *_, score in find_induction_heads(load_attention_only("toy-2l"))]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)


def test_no_distance_between_copies_is_in_more_than_two_probes():
    probes = make_probes(hand_built("induction", d_vocab=64), seeds=1)
    distances = [probe.period + probe.gap for probe in probes]
    assert max(map(distances.count, distances)) <= 2
    for probe in probes:
        assert probe.repeated.shape == probe.control.shape
        assert all(len(set(row)) == len(row) for row in probe.control.tolist())


def test_a_context_too_short_for_two_copies_is_refused():
    with pytest.raises(ValueError, match="two copies need at least 8"):
        make_probes(hand_built("induction", n_ctx=16, d_vocab=6))


def test_the_report_is_plain_data():
    report = json.loads(json.dumps(analyze(hand_built("induction"), name="x").as_dict()))
    assert report["model"] == "x"
    assert {head["layer"] for head in report["heads"]} == {0, 1}


def test_the_highest_score_above_the_threshold_names_the_head():
    scores = {
        "a": torch.tensor([[0.9, 0.1], [0.5, 0.5]]),
        "b": torch.tensor([[0.2, 0.3], [0.6, 0.5]]),
    }
    assert detect_head_types(scores, 0.4) == {(0, 0): "a", (1, 0): "b", (1, 1): "a"}
    assert detect_head_types(scores, 0.95) == {}


def test_scores_of_different_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected one \[layer, head\]"):
        detect_head_types({"a": torch.zeros(1, 2), "b": torch.zeros(2, 2)})


def kinds_of(induction: float, control: float, copying: float) -> tuple[str, ...]:
    lowest = dict.fromkeys(PATTERN_KINDS, 0.0) | {"induction": induction}
    controls = dict.fromkeys(PATTERN_KINDS, 0.0) | {"induction": control}
    return earned_kinds(lowest, controls, copying, 0.4)


def test_a_name_needs_the_score_the_control_and_the_copying():
    assert kinds_of(0.8, 0.05, 0.9) == ("induction",)
    assert kinds_of(0.39, 0.05, 0.9) == ()
    assert kinds_of(0.8, 0.4, 0.9) == ()
    assert kinds_of(0.8, 0.39, 0.9) == ("induction",)
    assert kinds_of(0.8, 0.05, -0.9) == ("anti_induction",)
    assert kinds_of(0.8, 0.05, 0.0) == ("induction_pattern_only",)
    assert kinds_of(0.8, 0.05, 0.29) == ("induction_pattern_only",)
    assert kinds_of(0.8, 0.05, -0.29) == ("induction_pattern_only",)
    assert kinds_of(0.8, 0.05, -0.4) == ("anti_induction",)
    assert kinds_of(0.8, 0.05, 0.4) == ("induction",)
    assert kinds_of(0.4, 0.05, 0.9) == ("induction",)


def test_a_lower_threshold_never_takes_a_kind_away():
    reports = [analyze(load_attention_only("toy-2l"), threshold=t) for t in (0.9, 0.6, 0.4, 0.2)]
    named = [{(h.name, kind) for h in r.heads for kind in h.kinds} for r in reports]
    assert all(few <= many for few, many in pairwise(named))
    assert ("L1H0", "induction") in named[0] | named[1]
    assert named[0] < named[-1]


def test_a_report_holds_mean_lowest_deviation_and_control_over_the_probes():
    model = load_attention_only("toy-2l")
    report, probes = analyze(model), make_probes(model)
    measured = [probe_scores(model, probe) for probe in probes]
    for head in report.heads:
        for kind in PATTERN_KINDS:
            values = [scores[kind][head.layer, head.head].item() for scores in measured]
            control = [scores[f"control_{kind}"][head.layer, head.head] for scores in measured]
            assert head.score[kind] == pytest.approx(statistics.mean(values), abs=1e-5)
            assert head.lowest[kind] == pytest.approx(min(values), abs=1e-6)
            assert head.spread[kind] == pytest.approx(statistics.stdev(values), abs=1e-5)
            assert head.control[kind] == pytest.approx(torch.stack(control).mean().item(), abs=1e-5)


def test_the_control_of_a_head_that_looks_at_one_place_is_an_even_head():
    model = hand_built("induction", n_heads=3)
    probe = make_probes(model)[0]
    scores = probe_scores(model, probe)
    # The heads that were not built attend evenly.
    _, built = hand_built_heads("induction", n_heads=3)["induction"]
    idle = (1, 1 - built if built < 2 else 0)
    for kind in ("previous_token", "first_token", "current_token"):
        assert scores[f"control_{kind}"][idle] == pytest.approx(scores[kind][idle].item(), abs=1e-5)


def test_every_seed_draws_tokens_of_its_own():
    probes = make_probes(hand_built("induction"), seeds=2)
    first, second = probes[:5], probes[5:]
    for mine, other in zip(first, second, strict=True):
        assert (mine.period, mine.gap) == (other.period, other.gap)
        assert not torch.equal(mine.repeated, other.repeated)
        assert not torch.equal(mine.control, other.control)


def test_the_bos_token_stands_in_front_of_every_probe_and_nowhere_else():
    for probe in make_probes(hand_built("induction", bos_token=3)):
        for tokens in (probe.repeated, probe.control):
            assert (tokens[:, 0] == 3).all()
            assert not (tokens[:, 1:] == 3).any()


def test_a_name_needs_the_lowest_probe_to_reach_the_threshold():
    report = analyze(load_attention_only("toy-2l"), threshold=0.95)
    assert all(head.lowest[kind] >= 0.95 for head in report.heads for kind in head.kinds)
    assert report.threshold == 0.95
    assert report.found("induction") == []


def test_a_score_equal_to_the_threshold_is_found():
    model = load_attention_only("toy-2l")
    *_, (layer, head, lowest) = find_induction_heads(model)
    assert (layer, head, lowest) in find_induction_heads(model, threshold=lowest)
    assert (layer, head) not in [h[:2] for h in find_induction_heads(model, lowest + 1e-4)]
    scores = {"a": torch.tensor([[0.5, 0.25]])}
    assert detect_head_types(scores, 0.5) == {(0, 0): "a"}


def test_found_heads_come_with_their_mean_score_highest_first():
    report = analyze(load_attention_only("toy-2l"))
    turned = replace(report, heads=report.heads[::-1])
    for found in (report.found("induction"), turned.found("induction")):
        assert [score for *_, score in found] == sorted((s for *_, s in found), reverse=True)
        assert [report.scores("induction")[h[0], h[1]].item() for h in found] == pytest.approx(
            [score for *_, score in found]
        )


def test_an_anti_induction_head_is_found_with_its_induction_score():
    report = analyze(hand_built("anti_induction"))
    ((layer, head, score),) = report.found("anti_induction")
    assert score == report.scores("induction")[layer, head].item() > 0.9


def test_a_report_says_which_tokens_were_drawn_and_how_many_must_match():
    toy = analyze(load_attention_only("toy-2l"), seeds=2, batch=4)
    text = analyze(load_attention_only("python-2l"), seeds=2, batch=4)
    assert toy.tokens.startswith("all ids alike")
    assert text.tokens.startswith("ranks 10–75 % of ")
    assert text.tokens.endswith("counts in its training text")
    kinds = {head.name: head.prefix_kind for head in text.heads if head.prefix_kind}
    assert kinds == {"L1H0": "long_prefix", "L1H3": "short_prefix"}
    assert {h.prefix_kind for h in toy.heads if "induction" in h.kinds} == {"short_prefix"}
    assert {h.prefix_kind for h in toy.heads if "induction" not in h.kinds} == {None}


def test_every_period_but_the_longest_has_two_distances():
    probes = make_probes(hand_built("induction", d_vocab=64), seeds=1)
    gaps = {}
    for probe in probes:
        gaps.setdefault(probe.period, set()).add(probe.gap)
    longest = max(gaps)
    assert {period: len(found) for period, found in gaps.items()} == {
        period: 1 if period == longest else 2 for period in gaps
    }


def test_probes_stay_short_on_a_long_context():
    model = AttentionOnly(AttentionOnlyConfig(1, 1, 2, 2, d_vocab=1000, n_ctx=900))
    probes = make_probes(model, seeds=1, batch=1)
    assert max(probe.repeated.shape[1] for probe in probes) <= LONGEST_PROBE
    assert max(2 * probe.period for probe in probes) >= LONGEST_PROBE - 1


def test_controls_are_the_attention_to_the_same_places_on_tokens_that_never_repeat():
    model = load_attention_only("toy-2l")
    probe = make_probes(model)[1]
    patterns = attention_patterns(model, probe.control)
    scores, tokens = probe_scores(model, probe), probe.repeated.tolist()
    for kind, after in (("induction", 1), ("duplicate_token", 0)):
        per_row = []
        for row, ids in enumerate(tokens):
            seen = [
                patterns[:, row, :, query, key + after]
                for query in range(len(ids))
                for key in range(query)
                if ids[key] == ids[query]
            ]
            per_row.append(torch.stack(seen).mean(dim=0))
        expected = torch.stack(per_row).mean(dim=0)
        torch.testing.assert_close(scores[f"control_{kind}"], expected, atol=1e-5, rtol=1e-4)
