"""The drawn graph: rows, signs, widths, and the same in words."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch

from induction_heads.figures.feature_graph import (
    REASON,
    describe_feature_graph,
    draw_feature_graph,
)
from induction_heads.figures.graph import NEGATIVE, POSITIVE

LABELS = ["BOS", "$y", "x"]
FLOWS = {
    (("F1:7", 2), ("logit", 2)): 0.8,
    (("error 1", 2), ("logit", 2)): -0.2,
    (("in", 2), ("F0:3", 2)): 0.4,
    (("F0:3", 2), ("F1:7", 2)): 0.4,
    (("F0:3", 2), ("logit", 2)): 0.1,
    (("L1H2", 2), ("F1:7", 2)): 0.3,
    (("error 0", 1), ("L1H2", 2)): 0.3,
}
REASONS = {(("L0H3", 1), ("L1H2", 2)): 2.7, (("F0:3", 2), ("L1H2", 2)): -1.25}


@pytest.fixture
def ax():
    figure, axes = plt.subplots(figsize=(4.4, 4.2))
    yield axes
    plt.close(figure)


def test_rows_run_from_inputs_to_the_logit_and_errors_are_dashed(ax):
    draw_feature_graph(ax, FLOWS, REASONS, LABELS)
    boxes = {text.get_text(): text for text in ax.texts}
    height = {name: text.get_position()[1] for name, text in boxes.items()}
    rows = [["x (2)"], ["F0:3\nx (2)", "L0H3\n$y (1)", "error 0\n$y (1)"], ["L1H2"]]
    rows += [["F1:7\nx (2)", "error 1\nx (2)"], ["logit"]]
    assert [{height[name] for name in row} for row in rows] == [{0}, {1}, {2}, {3}, {4}]
    assert {"+2.7", "-1.2"} < set(boxes)
    dashed = {name for name, t in boxes.items() if t.get_bbox_patch().get_linestyle() == "--"}
    assert dashed == {"error 0\n$y (1)", "error 1\nx (2)"}
    across = [boxes[name].get_position()[0] for name in ("L0H3\n$y (1)", "F0:3\nx (2)")]
    assert across == sorted(across)  # In order of their positions.


def test_lines_have_the_color_of_their_sign_and_grow_with_their_flow(ax):
    draw_feature_graph(ax, FLOWS, REASONS, LABELS)
    lines = [patch for patch in ax.patches if isinstance(patch, PathPatch)]
    by_width = sorted(lines, key=lambda line: line.get_linewidth())
    flows = sorted(FLOWS.values(), key=abs)
    colors = [to_hex(line.get_edgecolor()).upper() for line in by_width]
    assert colors == [POSITIVE if flow > 0 else NEGATIVE for flow in flows]
    assert len(ax.lines) == len(REASONS)
    assert {line.get_color() for line in ax.lines} == {REASON}


def test_a_line_over_several_rows_passes_beside_the_node_between(ax):
    """F0:3 is right below F1:7 and the logit when they are alone in their rows."""
    flows = {
        (("F0:3", 2), ("F1:7", 2)): 0.4,
        (("F1:7", 2), ("logit", 2)): 0.4,
        (("F0:3", 2), ("logit", 2)): 0.1,
    }
    draw_feature_graph(ax, flows, {}, LABELS)
    between = next(text for text in ax.texts if text.get_text().startswith("F1"))
    (x, y) = between.get_position()
    lines = [patch for patch in ax.patches if isinstance(patch, PathPatch)]
    long = min(lines, key=lambda line: line.get_linewidth())
    points = long.get_path().to_polygons(closed_only=False)[0]
    inside = [p for p in np.asarray(points) if abs(p[0] - x) < 0.3 and abs(p[1] - y) < 0.2]
    assert not inside


def test_words_name_the_edges_largest_first():
    found = describe_feature_graph(FLOWS, REASONS, LABELS)
    assert found.startswith("F1:7 at x (2) to logit 0.80; input x (2) to F0:3 at x (2) 0.40; ")
    assert "error 1 at x (2) to logit -0.20" in found
    assert found.endswith(
        "Why the heads look there: L0H3 at $y (1) to L1H2 2.70; F0:3 at x (2) to L1H2 -1.25."
    )
