"""Training: the same for the same seed, recorded as it goes, and clear when it fails."""

from itertools import pairwise

import pytest
import torch

from induction_heads.interp.losses import per_token_loss
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig, initialize
from induction_heads.training.run import Settings, next_token_loss, snapshot_steps, train

CONFIG = AttentionOnlyConfig(n_layers=1, n_heads=1, d_model=8, d_head=4, d_vocab=5, n_ctx=6)


def sample(generator: torch.Generator) -> torch.Tensor:
    """The same token all along a row: easy to learn."""
    return torch.randint(5, (8, 1), generator=generator).expand(8, 6)


def run(seed: int = 0, **changes):
    settings = Settings(**({"steps": 40, "warmup": 5} | changes))
    model = initialize(AttentionOnly(CONFIG), std=0.3, seed=seed)
    return train(model, sample, settings, seed=seed, snapshots_at=[0, 10, 40], progress=False)


def test_the_loss_falls():
    losses = run().losses
    assert len(losses) == 40
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_the_same_seed_gives_the_same_run_whatever_the_threads():
    threads = torch.get_num_threads()
    first = run(seed=3)
    torch.set_num_threads(2)
    try:
        again = run(seed=3)
        assert torch.get_num_threads() == 2  # Left as it was found.
    finally:
        torch.set_num_threads(threads)
    assert first.losses == again.losses
    assert run(seed=4).losses != first.losses


def test_snapshots_hold_the_weights_after_that_many_steps():
    result = run()
    assert list(result.snapshots) == [0, 10, 40]
    start = initialize(AttentionOnly(CONFIG), std=0.3, seed=0)
    assert torch.equal(result.snapshots[0]["W_E"], start.W_E.detach())
    assert torch.equal(result.snapshots[40]["W_E"], result.model.W_E.detach())
    assert not torch.equal(result.snapshots[10]["W_E"], result.snapshots[40]["W_E"])


def test_the_global_seed_is_left_alone():
    before = torch.random.get_rng_state()
    run()
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_rate_warms_up_and_decays():
    settings = Settings(steps=100, warmup=10, decay=0.3)
    rates = [settings.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:70] == [1.0] * 60
    assert rates[99] == pytest.approx(1 / 30)


def test_a_diverging_run_says_what_to_do():
    with pytest.raises(ValueError, match="lower the learning rate"):
        run(learning_rate=float("inf"))


def test_snapshot_steps_start_at_zero_end_at_the_end_and_are_denser_early():
    steps = snapshot_steps(400, 24)
    assert (steps[0], steps[-1], len(steps)) == (0, 400, 24)
    gaps = [later - earlier for earlier, later in pairwise(steps)]
    assert gaps[0] < gaps[-1]


def test_the_training_loss_is_the_mean_loss_of_the_next_token():
    model = initialize(AttentionOnly(CONFIG), std=1.0, seed=0)
    tokens = torch.randint(5, (3, 6), generator=torch.Generator().manual_seed(0))
    expected = per_token_loss(model(tokens), tokens).mean()
    torch.testing.assert_close(next_token_loss(model, tokens), expected)


def moved(**changes) -> float:
    """How far one step of training moves the token embedding."""
    result = run(**({"steps": 1, "warmup": 0, "decay": 0.0, "weight_decay": 0.0} | changes))
    start = initialize(AttentionOnly(CONFIG), std=0.3, seed=0)
    return (result.model.W_E - start.W_E).abs().max().item()


def test_a_step_is_as_long_as_learning_rate_and_warmup_say():
    # The first step of Adam moves each weight by the learning rate.
    assert moved(learning_rate=0.01) == pytest.approx(0.01, rel=1e-3)
    assert moved(learning_rate=0.01, warmup=4) == pytest.approx(0.0025, rel=1e-3)


def test_a_gradient_is_clipped_to_the_length_asked_for():
    # Far below Adam's epsilon of 1e-8 a clipped gradient hardly moves anything.
    assert moved(learning_rate=0.01, clip=1e-12) < 1e-5


def test_weight_decay_shrinks_the_weights():
    shrunk = run(steps=1, warmup=0, decay=0.0, clip=1e-12, learning_rate=0.1, weight_decay=0.5)
    start = initialize(AttentionOnly(CONFIG), std=0.3, seed=0)
    torch.testing.assert_close(shrunk.model.W_E, 0.95 * start.W_E, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("change", [{"betas": (0.5, 0.5)}, {"bfloat16": True}])
def test_settings_change_the_run(change: dict):
    assert run(**change).losses != run().losses


@pytest.mark.parametrize("terminal", [True, False])
def test_a_progress_bar_is_drawn_on_a_terminal_only(terminal, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    model = initialize(AttentionOnly(CONFIG), std=0.3, seed=0)
    train(model, sample, Settings(steps=3))
    written = capsys.readouterr()
    assert written.out == ""
    assert ("steps" in written.err) == terminal


def test_a_progress_bar_that_is_off_is_not_drawn(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    run(steps=2)
    assert capsys.readouterr().err == ""
