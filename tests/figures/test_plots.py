"""Figures: fixed ranges, the future hidden, the stripe where the score reads it."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from induction_heads.data.tokens import make_repeated_tokens
from induction_heads.figures import plots
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.scores import induction_score
from induction_heads.models.hand_built import hand_built, hand_built_heads

MODEL = hand_built("induction")
TOKENS = make_repeated_tokens(MODEL, 6, batch=1)
PATTERNS = attention_patterns(MODEL, TOKENS)[:, 0]


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_the_heatmap_hides_the_future_and_fixes_its_range(ax):
    plots.attention_heatmap(ax, PATTERNS[0, 0], title="L0H0")
    image = ax.images[0]
    assert image.get_clim() == (0, 1)
    assert np.array_equal(image.get_array().mask, np.triu(np.ones((12, 12)), 1).astype(bool))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("key", "query")


def test_labels_stand_at_every_position(ax):
    plots.attention_heatmap(ax, PATTERNS[0, 0], labels=list("abcdefabcdef"))
    assert [text.get_text() for text in ax.get_xticklabels()] == list("abcdefabcdef")


def test_the_outline_encloses_what_the_induction_score_reads(ax):
    layer, head = hand_built_heads("induction")["induction"]
    plots.stripe_heatmap(ax, PATTERNS[layer, head], period=6)
    outline = ax.patches[0].get_path()
    nudges = [(-0.2, -0.2), (-0.2, 0.2), (0.2, -0.2), (0.2, 0.2)]  # No cell counts by its edge.
    inside = torch.tensor(
        [
            [
                all(outline.contains_point((key + x, query + y)) for x, y in nudges)
                for key in range(12)
            ]
            for query in range(12)
        ]
    )
    enclosed = (PATTERNS[layer, head] * inside).sum() / 6
    assert inside.sum() == 6
    assert enclosed.item() == pytest.approx(induction_score(PATTERNS[layer, head], 6).item())


def test_the_grid_has_a_panel_for_each_head():
    titles = [ax.get_title() for ax in plots.head_grid(PATTERNS).axes if ax.get_title()]
    assert titles == ["L0H0", "L0H1", "L1H0", "L1H1"]


def test_every_score_is_written_in_its_cell(ax):
    plots.score_heatmap(ax, torch.tensor([[0.25, 1.0]]))
    assert [text.get_text() for text in ax.texts] == ["0.25", "1.00"]
    assert ax.images[0].get_clim() == (0, 1)


def test_the_layer_maximum_is_the_highest_score(ax):
    plots.layer_maximum(ax, torch.tensor([[0.1, 0.7], [0.3, 0.2]]), label="x")
    assert ax.lines[0].get_ydata() == pytest.approx([0.7, 0.3])


def test_bars_count_the_heads_of_each_type(ax):
    types = {(0, 1): "previous_token", (1, 0): "induction", (1, 1): "induction"}
    plots.head_type_distribution(ax, types, n_layers=2, n_heads=3)
    heights = {
        container.get_label(): [bar.get_height() for bar in container]
        for container in ax.containers
    }
    assert heights == {"induction": [0, 2], "previous-token": [1, 0], "no type": [2, 1]}


def test_a_difference_is_drawn_in_one_range_with_a_cross_on_each_marked_cell():
    answer, expected = [[0.0, 5.0], [np.nan, 1.0]], [[0.0, -3.0], [2.0, 1.0]]
    figure = plots.difference_heatmaps(answer, expected, [[0, 1], [1, 0]], "a part")
    yours, right = figure.axes[:2]
    assert yours.images[0].get_clim() == right.images[0].get_clim() == (-3, 5)
    assert (yours.get_title(), right.get_title()) == ("yours", "expected")
    for ax in (yours, right):
        assert ax.collections[0].get_offsets().tolist() == [[1, 0], [0, 1]]
    assert plt.get_fignums() == []


def test_the_loss_line_starts_at_the_second_token(ax):
    plots.loss_by_position(ax, torch.arange(11.0), period=6)
    assert ax.lines[0].get_xdata().tolist() == list(range(1, 12))
    assert ax.lines[1].get_xdata()[0] == 5.5


def test_tokens_with_dollars_are_drawn_as_text(ax):
    plots.attention_heatmap(ax, PATTERNS[0, 0, :3, :3], ["$$", "a$b$c", "$\\frac$"])
    drawn = [*ax.get_xticklabels(), *ax.get_yticklabels()]
    assert [label.get_text() for label in drawn[:3]] == ["$$", "a$b$c", "$\\frac$"]
    assert not any(label.get_parse_math() for label in drawn)
    ax.figure.canvas.draw()  # Raises ValueError for a formula that Matplotlib cannot read.
