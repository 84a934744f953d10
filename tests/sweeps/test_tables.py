"""Tables, totals and figures of a sweep, from records made by hand."""

import csv
import io
from dataclasses import replace

import pytest

from induction_heads.interp.formation import formation_step
from induction_heads.sweeps.families import FAMILIES
from induction_heads.sweeps.figures import all_models, over_training, score_against_effect
from induction_heads.sweeps.page import sweep_html
from induction_heads.sweeps.progress import SweepProgress
from induction_heads.sweeps.tables import as_csv, head_rows, model_rows, snapshot_rows, summary
from induction_heads.sweeps.toy_models import ToyVariant
from induction_heads.training.measurement import died_record

VARIANTS = [
    ToyVariant(seed=0),
    ToyVariant(seed=1),
    ToyVariant(n_layers=1),
    ToyVariant(smeared=True),
]
FAMILY = replace(FAMILIES["trial"], models=VARIANTS)


def snapshot(step: int, induction: float, rise: float, layers: int = 2) -> dict:
    heads = {"previous_token": 0.9, "rise_sd": 0.1, "control_rise": 0.01, "control_rise_sd": 0.02}
    table = {name: [[value, value / 2]] * layers for name, value in heads.items()}
    losses = {
        "loss": 3.0,
        "in_context_learning": -1.0,
        "first_copy_loss": 4.0,
        "second_copy_loss": 0.5,
        "control_loss": 4.1,
    }
    table |= {"induction": [[0.0, 0.1]] * (layers - 1) + [[induction, 0.2]]}
    return {"step": step, "rise": [[0.0, rise]] * layers} | losses | table


def record(variant: ToyVariant, *snapshots: dict, status: str = "trained") -> dict:
    return {
        "model": variant.name,
        "status": status,
        "why": "",
        "parameters": 7,
        "ablations": 64 * len(snapshots),
        "seconds": 2.0,
        "curve": [],
        "snapshots": list(snapshots),
    }


RECORDS = [
    record(VARIANTS[0], snapshot(0, 0.1, 0.0), snapshot(50, 0.4, 1.0), snapshot(90, 0.3, 2.0)),
    record(VARIANTS[1], snapshot(0, 0.1, 0.0), snapshot(50, 0.39999, 1.0)),
    record(VARIANTS[2], snapshot(0, 0.1, 0.0, layers=1), status="diverged"),
    died_record(VARIANTS[3], 3),
]


def read(rows: list[dict]) -> list[dict]:
    return list(csv.DictReader(io.StringIO(as_csv(rows))))


def test_a_model_has_formed_at_the_first_snapshot_that_reaches_the_threshold():
    assert [formation_step(r) for r in RECORDS] == [50, None, None, None]


def test_every_model_has_a_row_and_what_is_missing_is_empty():
    rows = read(model_rows(VARIANTS, RECORDS))
    assert [row["model"] for row in rows] == [variant.name for variant in VARIANTS]
    assert [row["status"] for row in rows] == ["trained", "trained", "diverged", "died"]
    assert [row["formation_step"] for row in rows] == ["50", "", "", ""]
    assert [row["last_rise"] for row in rows] == ["2.0", "1.0", "0.0", ""]
    assert [row["smeared"] for row in rows] == ["0", "0", "0", "1"]


def test_every_snapshot_and_every_head_has_a_row():
    snapshots, heads = read(snapshot_rows(RECORDS)), read(head_rows(RECORDS))
    assert [row["step"] for row in snapshots] == ["0", "50", "90", "0", "50", "0"]
    assert snapshots[1]["best_induction"] == "0.4"
    assert len(heads) == 5 * 4 + 2
    assert (heads[6]["layer"], heads[6]["head"], heads[6]["induction"]) == ("1", "0", "0.4")
    assert heads[7]["rise"] == "1.0"


def test_the_summary_counts_and_gives_the_spread_over_seeds():
    totals = summary(FAMILY, RECORDS)
    assert (totals["models"], totals["ablations"], totals["snapshots"]) == (4, 6 * 64, 6)
    assert (totals["formed"], totals["cpu_seconds"]) == (1, 6.0)
    assert totals["diverged"] == [VARIANTS[2].name]
    assert totals["died"] == [VARIANTS[3].name]
    group = totals["groups"]["2l-2h-64-tiled"]
    assert group["formation_steps"] == [50, None]
    assert group["induction"] == [0.35, 0.0707]
    assert totals["groups"]["2l-2h-64-tiled-smeared"]["rise"] is None


@pytest.mark.parametrize("n_models", [1, 3, 4])
def test_the_figures_show_every_model(n_models):
    pairs = list(zip(VARIANTS, RECORDS, strict=True))[-n_models:]
    figure = all_models(pairs)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [variant.name for variant, _ in pairs]
    assert len(over_training(pairs).axes) == 4
    assert len(score_against_effect(pairs).axes) == 2


def test_the_page_says_what_did_not_form_and_escapes_what_it_is_told():
    run = {"family": "<b>", "command": "x & y", "date": "today", "versions": {"torch": "2"}}
    text = sweep_html(FAMILY, RECORDS, run | summary(FAMILY, RECORDS))
    assert "<h1>Sweep: &lt;b&gt;</h1>" in text
    assert "x &amp; y" in text
    assert "<td>50, –</td>" in text
    assert "1 of 4 models" in text
    assert "died: the process that trained it died 3 times" in " ".join(text.split())


def test_the_time_left_follows_the_cost_of_what_is_left():
    progress = SweepProgress(FAMILY, {VARIANTS[2].name: RECORDS[2]})
    planned = f"{sum(map(FAMILY.planned_ablations, VARIANTS)):,}"
    assert progress.line() == f"1 of 4 models, 64 of {planned} ablations"
    assert progress.seconds_left() is None
    progress.started -= 10
    progress.done.append(RECORDS[0])
    costs = [variant.cost() for variant in VARIANTS]
    left = 10 * (costs[1] + costs[3]) / costs[0]
    assert progress.seconds_left() == pytest.approx(left, rel=0.01)
    assert progress.line().endswith(f"{left:.0f} s left")
    progress.done += [RECORDS[1], RECORDS[3]]
    assert progress.line() == f"4 of 4 models, 384 of {planned} ablations"
