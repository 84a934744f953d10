"""What a reader changes in the explorer's model, in Chromium: it costs what the package says."""

from functools import partial

import pytest
import torch

from induction_heads.interp.ablation import zero_ablation_hook
from induction_heads.interp.interventions import (
    logits_without_path,
    pattern_preserving_ablation,
    stripe_knockout,
)
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.scores import prefix_matching_score
from induction_heads.models.loading import load_attention_only, load_snapshots, to_transformer_lens

from .explorer_page import REPEATED, ROW, click, drawn, effect, press, set_state


@pytest.fixture(scope="module")
def bridge():
    return to_transformer_lens(load_attention_only("toy-2l"))


def changed_logits(bridge, change, reference):
    """Logits on ROW with one change, by the package. `reference` are the rows of the mean."""
    rows = torch.tensor([ROW])
    hook_z = "blocks.0.attn.hook_z"
    if change == "zero":
        return bridge.run_with_hooks(
            rows, fwd_hooks=[(hook_z, partial(zero_ablation_hook, head=0))]
        )
    if change == "mean":
        _, cache = bridge.run_with_cache(reference, names_filter=hook_z)
        mean = cache[hook_z][:, :, 0].mean(dim=0)

        def replace(z, hook):
            z = z.clone()
            z[:, :, 0] = mean
            return z

        return bridge.run_with_hooks(rows, fwd_hooks=[(hook_z, replace)])
    if change == "freeze":
        return pattern_preserving_ablation(bridge, rows, 0, 0)
    if change == "cut":
        return logits_without_path(bridge, rows, (0, 0), (1, 0), "K")

    def knock_out(pattern, hook):
        return stripe_knockout(pattern, 4)

    return bridge.run_with_hooks(rows, fwd_hooks=[("blocks.1.attn.hook_pattern", knock_out)])


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("zero", "o.0-0zero"),
        ("mean", "o.0-0mean"),
        ("freeze", "o.0-0zero~f.1"),
        ("cut", "c.0-0_K_1-0"),
        ("knockout", "k.1-0_1-1"),
    ],
)
def test_each_change_costs_what_the_package_says(change, state, tab, bridge):
    set_state(tab, f"{REPEATED}~v.change~{state}")
    reference = tab.evaluate("explorer.referenceRows(explorer.modelFrom(data['model toy-2l']), 8)")
    rows = torch.tensor([ROW])
    with torch.inference_mode():
        clean = per_token_loss(bridge(rows), rows)[0]
        changed = per_token_loss(changed_logits(bridge, change, torch.tensor(reference)), rows)[0]
    assert effect(tab) == pytest.approx(
        [clean[-3:].mean().item(), changed[-3:].mean().item()], abs=0.006
    )
    assert abs((changed - clean)[-3:].mean()) > 0.05
    label = tab.locator(".ex-token").nth(6).get_attribute("aria-label")
    assert label == f"Position 6: C, loss {changed[5]:.2f} nats, without the change {clean[5]:.2f}"


def test_controls_change_the_model_and_undo_all_takes_it_back(tab):
    set_state(tab, f"{REPEATED}~v.change")
    tab.get_by_role("group", name="L0H0").get_by_label("zero").check()
    tab.get_by_role("group", name="L1H1").get_by_label("no stripe").check()
    tab.get_by_label("Freeze the patterns").check()
    tab.get_by_label("key", exact=True).check()
    tab.get_by_label("value", exact=True).check()
    tab.get_by_label("Heads that do not receive it").select_option("1-1")
    drawn(tab)
    state = tab.evaluate("mounted.state()")
    assert state == f"{REPEATED}~o.0-0zero~f.1~c.0-0_KV_1-1~k.1-1~v.change"
    assert tab.get_by_role("tab", name="Change it (5)").is_visible()
    assert tab.locator(".ex-mark").all_inner_texts() == [
        "off: zero",
        "",
        "frozen",
        "frozen, no stripe",
    ]
    clean, changed = effect(tab)
    assert changed - clean > 1
    click(tab, "Undo all")
    assert effect(tab) == [clean, clean]
    assert tab.evaluate("mounted.state()") == f"{REPEATED}~v.change"
    assert tab.evaluate("states.at(-1)") == f"{REPEATED}~v.change"


def test_slider_shows_the_model_at_each_snapshot(tab):
    set_state(tab, f"{REPEATED}~v.time")
    slider = tab.get_by_role("slider", name="Training step")
    slider.wait_for()
    slider.focus()
    press(tab, "Home")
    snapshots = load_snapshots("toy-2l")
    rows = torch.tensor([ROW])
    for keys, at in (([], 0), (["ArrowRight"] * 10, 10)):
        press(tab, *keys)
        step = sorted(snapshots)[at]
        with torch.inference_mode():
            loss = per_token_loss(snapshots[step](rows), rows)[0, -3:].mean().item()
        text = tab.inner_text(".ex-time")
        assert f"Step {step} of 400." in text
        own = float(text.split("On your tokens: second-copy loss ")[1].split(" nats")[0])
        assert own == pytest.approx(loss, abs=0.02)  # Snapshots are rounded.
        assert slider.get_attribute("aria-valuetext") == f"step {step} of 400"
    tab.locator(".ex-time summary").click()
    tab.wait_for_function("document.querySelectorAll('.ex-time tbody tr').length === 20")
    assert tab.locator(".ex-time .ex-details").get_by_role("rowheader").all_inner_texts() == [
        str(step) for step in sorted(snapshots)
    ]
    assert "s.10" in tab.evaluate("mounted.state()")


def test_no_number_of_the_effect_is_cut_off_on_a_narrow_phone(tab):
    """+3.80 must not be read as +3."""
    set_state(tab, f"{REPEATED}~o.0-0zero~v.change")
    before = tab.viewport_size
    tab.set_viewport_size({"width": 340, "height": 800})
    drawn(tab)
    rights = tab.evaluate(
        """() => ["#root", ".ex-effect .ex-table"].map(
            (one) => document.querySelector(one).getBoundingClientRect().right)"""
    )
    widths = tab.evaluate(
        """() => [...document.querySelectorAll(".ex-effect td")].map(
            (cell) => cell.scrollWidth - cell.clientWidth)"""
    )
    tab.set_viewport_size(before)
    assert rights[1] <= rights[0] - 10
    assert max(widths) <= 0


def test_with_three_copies_every_key_after_a_copy_counts(tab):
    """Words, scores, loss and the knockout agree with the package."""
    row = torch.tensor([[0, 1, 2] * 3])
    set_state(tab, "m.toy-2l~t.0-1-2-0-1-2-0-1-2~v.change")
    text = tab.inner_text(".ex-prediction")
    assert "each time followed by A" in text
    assert "one or more of positions 3 and 6" in text
    model = load_attention_only("toy-2l")
    with torch.inference_mode():
        pattern = model.layers[1].pattern(model.embed(row) + model.layers[0](model.embed(row)))
        losses = per_token_loss(model(row), row)[0]
    scores = prefix_matching_score(pattern, row)[0].tolist()
    shown = tab.locator(".ex-scores").all_inner_texts()[2:4]
    assert [float(one.split("ind ")[1]) for one in shown] == pytest.approx(scores, abs=0.006)
    assert tab.inner_text(".ex-effect tbody th") == "Loss of copies 2–3 (nats)"
    assert effect(tab)[0] == pytest.approx(losses[3:].mean().item(), abs=0.006)
    tab.get_by_role("group", name="L1H0").get_by_label("no stripe").check()
    drawn(tab)
    assert tab.locator(".ex-scores").nth(2).inner_text().endswith("ind 0.00")
    assert effect(tab)[1] - effect(tab)[0] > 0.2
