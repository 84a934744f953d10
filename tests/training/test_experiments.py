"""The stored experiments: what is in the files, that it can be made again, and the command."""

import json
from itertools import pairwise
from statistics import mean

import pytest
import torch
from click.testing import CliRunner

from induction_heads.cli.main import main
from induction_heads.training import (
    chain_runs,
    clamp_runs,
    experiments,
    minimal_task,
    position_runs,
)
from induction_heads.training.experiments import (
    EXPERIMENTS,
    differences_from_stored,
    of_seeds,
    run_experiment,
    stored_experiment,
)
from induction_heads.training.run import Settings


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_run_is_stored_once_in_order_with_three_seeds_or_more(name):
    stored = stored_experiment(name)
    assert list(stored["runs"]) == list(EXPERIMENTS[name].runs)
    assert stored["command"] == f"induction-heads experiment {name}"
    groups = dict.fromkeys(run.rpartition("-s")[0] for run in stored["runs"])
    assert min(len(of_seeds(name, group)) for group in groups) >= 3


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_is_stored_does_not_differ_from_itself(name):
    assert differences_from_stored(stored_experiment(name)) == []


def test_a_changed_result_is_a_difference():
    record = stored_experiment("minimal-task")
    record["runs"]["flow-8-s0"]["formed"] *= 2
    record["runs"]["adamw-4-8-s1"]["formed"] = None
    first, second = differences_from_stored(record)
    assert first.startswith("flow-8-s0")
    assert second.startswith("adamw-4-8-s1: nothing")


def test_the_help_names_every_experiment():
    said = " ".join(CliRunner().invoke(main, ["experiment", "--help"]).output.split())
    *names, last = EXPERIMENTS
    assert f"NAME is {', '.join(names)} or {last}." in said


def test_unknown_names_say_what_there_is():
    with pytest.raises(KeyError, match="chains, clamps"):
        stored_experiment("clamp")
    with pytest.raises(KeyError, match="It has free"):
        of_seeds("clamps", "nothing")


def test_the_first_steps_of_a_clamped_run_are_the_stored_ones(monkeypatch):
    run, seed = clamp_runs.RUNS["mark+copying-s1"]
    short = clamp_runs.ClampedRun(run.words, run.given, steps=25)
    monkeypatch.setitem(clamp_runs.RUNS, "mark+copying-s1", (short, seed))
    stored = stored_experiment("clamps")["runs"]["mark+copying-s1"]["losses"][:25]
    found = clamp_runs.clamped_result("mark+copying-s1")["losses"]
    assert found == pytest.approx(stored, abs=0.02)


def test_the_first_snapshots_of_a_chain_model_are_the_stored_ones():
    run = chain_runs.train_chain_model(2, 3, Settings(steps=20, learning_rate=1e-2, decay=0.0))
    stored = stored_experiment("chains")["runs"]["2-layers-s3"]["snapshots"]
    for found, expected in zip(chain_runs.snapshots_measured(run), stored, strict=False):
        assert found["step"] == expected["step"]
        assert found["loss"] == pytest.approx(expected["loss"], abs=5e-3)
        assert found["followers"] == pytest.approx(expected["followers"], abs=0.02)


def test_runs_of_the_minimal_task_are_made_again_and_kept_in_a_file(tmp_path):
    out, made = tmp_path / "results.json", []
    runs = ["flow-8-s2", "adamw-256-8-s0"]
    run_experiment("minimal-task", only=runs[:1], out=out, done=made.append)
    record = run_experiment("minimal-task", only=runs, out=out, done=made.append)
    assert made == runs  # The first was not made twice.
    assert json.loads(out.read_text()) == record
    stored = stored_experiment("minimal-task")["runs"]
    for run in runs:
        assert record["runs"][run]["formed"] == pytest.approx(stored[run]["formed"], rel=0.02)


def test_the_first_steps_with_other_positions_are_the_stored_ones(monkeypatch):
    monkeypatch.setattr(position_runs, "STEPS", 15)
    stored = stored_experiment("positions")["runs"]["random-0.21-s0"]["losses"][:15]
    assert position_runs.position_result("random-0.21-s0")["losses"] == pytest.approx(
        stored, abs=0.02
    )


def test_positions_have_the_scale_that_was_asked_for():
    for structure in ("sinusoidal", "random"):
        drawn = position_runs.starting_positions(structure, 0.07, 0, 32, 64)
        assert drawn.square().mean().sqrt().item() == pytest.approx(0.07)
    with pytest.raises(ValueError, match="'rotary'"):
        position_runs.starting_positions("rotary", 0.07, 0, 32, 64)


def test_gradient_flow_does_not_depend_on_its_steps():
    coarse = minimal_task.gradient_flow(8, 0, share=0.02)["formed"]
    fine = minimal_task.gradient_flow(8, 0, share=0.005)["formed"]
    assert coarse == pytest.approx(fine, rel=0.03)


def attention_by_loops(alpha: float, beta: float, asked: int, n_pairs: int, filler: int):
    """Both layers of the minimal circuit, with tokens and explicit patterns."""
    n_pos = filler + 2 * n_pairs + 1
    item = filler + 2 * asked
    holds = [float(place == item or place == n_pos - 1) for place in range(n_pos)]
    written = []
    for query in range(n_pos):
        scores = torch.tensor([alpha if key == query - 1 else 0.0 for key in range(query + 1)])
        pattern = scores.softmax(dim=-1).tolist()
        written.append(sum(p * h for p, h in zip(pattern, holds, strict=False)))
    attention = (beta * torch.tensor(written)).softmax(dim=-1)
    return [attention[filler + 2 * pair + 1].item() for pair in range(n_pairs)]


@pytest.mark.parametrize(("asked", "filler"), [(0, 0), (1, 0), (3, 0), (0, 3), (2, 8)])
def test_attention_of_the_minimal_circuit_is_that_of_two_explicit_layers(asked, filler):
    numbers = torch.tensor([0.7, 1.9, 1.0])
    found = minimal_task.attention_to_labels(numbers, torch.tensor([asked]), 4, filler)
    assert found[0].tolist() == pytest.approx(
        attention_by_loops(0.7, 1.9, asked, 4, filler), abs=1e-5
    )


def test_expected_loss_is_the_mean_over_all_labels():
    numbers = torch.tensor([0.4, 1.1, 1.7])
    losses = []
    for asked in range(3):
        attention = minimal_task.attention_to_labels(numbers, torch.tensor([asked]), 3)[0]
        for bits in range(8):
            labels = torch.tensor([1.0 if bits >> pair & 1 else -1.0 for pair in range(3)])
            error = labels[asked] - numbers[2] * (attention * labels).sum()
            losses.append(error.item() ** 2 / 2)
    assert minimal_task.expected_loss(numbers, 3).item() == pytest.approx(mean(losses), rel=1e-5)


def test_a_pair_that_is_not_in_the_row_is_refused():
    with pytest.raises(ValueError, match="from 4 to 4 of 4"):
        minimal_task.attention_to_labels(torch.zeros(3), torch.tensor([4]), 4)


def test_passes_needs_five_losses_below_the_level_on_average():
    assert clamp_runs.passes([4.0] * 10) is None
    assert clamp_runs.passes([4.0] * 5 + [1.0] * 5) == 5


def test_recalls_of_hand_made_weights():
    model = clamp_runs.CELLS["free"].new_model(0)
    with torch.no_grad():
        for layer in model.layers:
            for name in ("W_Q", "W_K", "W_V", "W_O"):
                getattr(layer, name).zero_()
        model.W_E.copy_(torch.eye(64))
        model.W_U.copy_(torch.eye(64))
        model.layers[1].W_V[1, :32] = torch.eye(32)
        model.layers[1].W_O[1, :, :32] = torch.eye(32)
    # L1H1 copies 32 of 64 tokens. All other rows are zero, where the first entry counts as largest.
    found = clamp_runs.recalls(model)
    assert found["copying"] == 0.5
    assert found["match"] == pytest.approx(1 / 64)


def test_stages_of_the_stored_chain_models_are_in_order():
    rulers = chain_runs.ruler_losses()
    assert rulers["bigram"] < rulers["unigram"] < rulers["uniform"]
    for result in of_seeds("chains", "2-layers"):
        losses = [s["loss"] for s in result["snapshots"]]
        assert losses[-1] > rulers["bigram"]  # Nothing beats the exact posterior on average.
        closest = [min(rulers, key=lambda r: s[f"from_{r}"]) for s in result["snapshots"]]
        changes = [b for a, b in pairwise(closest) if a != b]
        assert closest[0] == "uniform"
        assert changes[0] == "unigram"
        assert closest[-1] == "bigram"


def test_the_command_makes_a_run_and_compares():
    done = CliRunner().invoke(main, ["experiment", "minimal-task", "--run", "flow-8-s0"])
    assert done.exit_code == 0
    assert done.output.splitlines() == ["flow-8-s0", "They match the stored results."]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["clamp"], "Did you mean clamps"), (["chains", "--run", "3-layers-s0"], "no run called")],
)
def test_the_command_refuses_unknown_names(arguments, words):
    done = CliRunner().invoke(main, ["experiment", *arguments])
    assert done.exit_code == 2
    assert words in done.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{bad", "does not hold results of an experiment"),
        ("[1]", "does not hold results of an experiment"),
        ('{"name": "clamps", "runs": {"free-s0": 1}}', "results of the experiment clamps, not of"),
    ],
)
def test_a_file_with_something_else_is_refused_and_stays(tmp_path, text, words):
    file = tmp_path / "results.json"
    file.write_text(text)
    done = CliRunner().invoke(main, ["experiment", "minimal-task", "--out", str(file)])
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())
    assert file.read_text() == text


def test_a_difference_is_printed_and_exits_with_one(monkeypatch):
    monkeypatch.setattr(
        experiments, "differences_from_stored", lambda record: ["flow-8-s0: 1, stored 2."]
    )
    done = CliRunner().invoke(main, ["experiment", "minimal-task", "--run", "flow-8-s0", "--json"])
    assert done.exit_code == 1
    assert json.loads(done.output)["differences"] == ["flow-8-s0: 1, stored 2."]
