"""The passes that `analyze` saves change no number, and on few rows no verdict."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from small_hugging_face_models import small_model

from induction_heads.data.tokens import _lowest, distinct_tokens
from induction_heads.interp import probe_rows
from induction_heads.interp.analysis import COPYING, Report, analyze
from induction_heads.interp.copying import repeat_copying
from induction_heads.interp.match_length import prefix_length_curves
from induction_heads.interp.probe_rows import (
    FIRST_PREFIX_ROWS,
    FIRST_ROWS,
    measured_prefix_curves,
    measured_rows,
    no_rows,
    open_layers,
    run_shared_controls,
)
from induction_heads.interp.probes import PATTERN_KINDS, make_probes, probe_scores
from induction_heads.models.hand_built import KINDS, hand_built
from induction_heads.models.loading import (
    load_attention_only,
    load_model,
    load_snapshots,
    zoo_names,
)

BOUNDS = (0.4, COPYING)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Any]:
    """One of this course, one with a BOS token, and one that transformers computes."""
    folder = tmp_path_factory.mktemp("llama")
    small_model("llama").save_pretrained(folder)
    return {
        "toy": load_attention_only("toy-2l"),
        "bos": hand_built("induction", n_heads=3, bos_token=3, d_vocab=40),
        "llama": load_model(str(folder)),
    }


@pytest.mark.parametrize("name", ["toy", "bos", "llama"])
def test_all_rows_give_the_plain_definitions(models, name: str):
    model = models[name]
    probes = make_probes(model, seeds=2, batch=6)
    table = measured_rows(model, probes, BOUNDS, every_row=True)
    for number, probe in enumerate(probes):
        for kind, score in probe_scores(model, probe).items():
            found = table.means(kind)[number]
            torch.testing.assert_close(found, score, atol=1e-5, rtol=1e-4, msg=kind)
    first = [repeat_copying(model, p.repeated, p.period, p.gap) for p in (probes[0], probes[5])]
    for field in ("rank", "logits"):
        plain = torch.stack([getattr(one, field) for one in first])
        torch.testing.assert_close(getattr(table, field).mean(dim=1), plain, atol=1e-5, rtol=1e-4)
    assert table.means("induction").max() > 0.05  # Far above the tolerance.


@pytest.mark.parametrize("name", ["bos", "llama"])
def test_the_beginning_of_one_control_serves_the_shorter_probes(models, name: str):
    model = models[name]
    probes = make_probes(model, seeds=2, batch=3)
    table = no_rows(model, probes)
    run_shared_controls(model, probes, table, slice(0, 3), 1)
    for number, probe in enumerate(probes):
        longest = probes[number // 5 * 5 + 4].control
        shared = replace(probe, control=longest[:, : probe.control.shape[1]])
        scores = probe_scores(model, shared)
        for kind in (*PATTERN_KINDS[:3], "control_induction", "control_duplicate_token"):
            found = table.means(kind)[number]
            torch.testing.assert_close(found, scores[kind], atol=1e-5, rtol=1e-4, msg=kind)


def named(report: Report) -> list[tuple]:
    return [(head.name, head.kinds, head.prefix_kind) for head in report.heads]


def differently_named(models: dict[str, Any]) -> list[str]:
    return [
        name
        for name, model in models.items()
        if named(analyze(model, every_row=False)) != named(analyze(model, every_row=True))
    ]


def test_few_rows_name_the_same_heads():
    models = {
        kind: hand_built(kind, n_heads=3) for kind in ("induction", "fixed_offset", "no_copying")
    }
    models |= {name: load_attention_only(name) for name in ("toy-2l", "sycophant-2l")}
    assert not differently_named(models)


@pytest.mark.long
def test_few_rows_name_the_same_heads_in_the_zoo_its_snapshots_and_the_decoys():
    models: dict[str, Any] = {name: load_attention_only(name) for name in zoo_names()}
    models |= {name: load_model(name) for name in ("gpt2-2l", "llama-4l", "pythia-4l")}
    for seed, bos in enumerate((None, 0, 3)):
        options: dict[str, Any] = {"n_heads": 3, "d_vocab": 40 + 8 * seed, "bos_token": bos}
        models |= {f"{kind}/{seed}": hand_built(kind, seed=seed, **options) for kind in KINDS}
    for offset in (3, 7, 15, 20, 23, 31):
        models[f"offset {offset}"] = hand_built("fixed_offset", offset=offset, d_vocab=64)
    for name in ("toy-2l", "markov-2l", "python-2l"):
        models |= {f"{name}@{step}": model for step, model in load_snapshots(name).items()}
    assert not differently_named(models)


def test_a_head_at_the_threshold_is_measured_on_all_rows():
    model = load_attention_only("toy-2l")
    probes = make_probes(model)
    plain = measured_rows(model, probes, BOUNDS, every_row=True)
    lowest = plain.means("induction").amin(dim=0)
    table = measured_rows(model, probes, (lowest.max().item(), COPYING), every_row=False)
    assert not table.values["induction"].isnan().any()
    torch.testing.assert_close(table.means("induction"), plain.means("induction"))


def test_clear_heads_take_the_first_rows_only(monkeypatch):
    model = hand_built("induction", n_heads=3)
    run: list[int] = []
    visit = probe_rows.visit_patterns
    monkeypatch.setattr(
        probe_rows,
        "visit_patterns",
        lambda model, tokens, *rest: (run.append(len(tokens)), visit(model, tokens, *rest))[1],
    )
    table = measured_rows(model, make_probes(model), BOUNDS, every_row=False)
    # One shared control and four probes a seed; the fifth is read by the copying score.
    assert run == [FIRST_ROWS] * 15
    assert open_layers(table, *BOUNDS) == (None, None)


def test_a_deep_layer_is_not_run_for_a_head_that_is_open_before_it():
    model = load_attention_only("toy-2l")
    probes = make_probes(model)
    plain = measured_rows(model, probes, BOUNDS, every_row=True)
    threshold = plain.means("previous_token").amin(dim=0)[0].max().item()
    table = measured_rows(model, probes, (threshold, 0.0), every_row=False)
    values = table.values["previous_token"]
    rows = (~values.isnan()).all(dim=(0, 3)).sum(dim=0)  # Of each layer.
    assert rows.tolist() == [16, FIRST_ROWS]
    found, expected = table.means("previous_token"), plain.means("previous_token")
    torch.testing.assert_close(found[:, 0], expected[:, 0])


def test_all_prefix_rows_are_the_plain_curves_and_run_where_a_length_is_open(monkeypatch):
    model = load_attention_only("python-2l")
    plain = torch.stack([prefix_length_curves(model, batch=12, seed=s) for s in (0, 1)])
    nothing = torch.zeros(2, 4, dtype=torch.bool)
    options: dict[str, Any] = {"seeds": 2, "batch": 12}
    every = measured_prefix_curves(model, nothing, **options, every_row=True)
    torch.testing.assert_close(every, plain.mean(dim=0), atol=1e-5, rtol=1e-4)
    few = measured_prefix_curves(model, nothing, **options, every_row=False)
    assert FIRST_PREFIX_ROWS < 12
    assert not torch.allclose(few, every, atol=1e-4)
    monkeypatch.setattr(probe_rows, "MARGIN", 1.0)  # Every match length is open.
    more = measured_prefix_curves(model, ~nothing, **options, every_row=False)
    torch.testing.assert_close(more, every, atol=1e-5, rtol=1e-4)


def test_the_lowest_of_a_large_vocabulary_are_the_beginning_of_a_stable_sort():
    generator = torch.Generator().manual_seed(0)
    for n, length in ((64, 64), (64, 20), (30_000, 129)):
        values = (1e6 * torch.rand(8, n, generator=generator)).round()  # Some are equal.
        expected = values.argsort(dim=-1, stable=True)[:, :length]
        assert torch.equal(_lowest(values, length), expected)
    drawn = torch.rand(4, 20_000, generator=torch.Generator().manual_seed(3)).argsort(dim=-1)
    assert torch.equal(distinct_tokens(20_000, 100, 4, 3), drawn[:, :100])
