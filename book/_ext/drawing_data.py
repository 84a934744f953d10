"""What the drawings show: each is computed from a model, from rows or from a stored run.

A function without arguments returns a drawing; `DRAWINGS` names them for the directive. The
package is imported inside, since most pages need no torch.
"""

from functools import cache
from typing import TYPE_CHECKING

from feature_drawings import FEATURE_DRAWINGS

if TYPE_CHECKING:
    from induction_heads.figures.drawings.parts import Drawing

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ROW = (0, 1, 2, 0, 1)  # A B C A B


@cache
def on_row():
    """What the hand-built induction model does on A B C A B."""
    import torch

    from induction_heads.figures.drawings.circuits import CircuitOnRow
    from induction_heads.interp.activations import attention_patterns
    from induction_heads.models.hand_built import hand_built, hand_built_heads

    model, heads = hand_built("induction"), hand_built_heads("induction")
    tokens = torch.tensor([ROW])
    patterns = attention_patterns(model, tokens)[:, 0]  # [layer head query key]
    before, induction = (patterns[heads[name]] for name in ("previous_token", "induction"))
    query = len(ROW) - 1
    key = int(induction[query].argmax())
    letters = [LETTERS[token] for token in ROW]
    # Position 0 has no token before it and looks at itself.
    marks = [None, *(letters[int(row.argmax())] for row in before[1:])]
    return CircuitOnRow(
        tokens=letters,
        marks=marks,
        one_back=[0.0, *before.diagonal(-1).tolist()],
        query=query,
        key=key,
        weight=induction[query, key].item(),
        prediction=LETTERS[int(model(tokens)[0, -1].argmax())],
    )


def circuit() -> "Drawing":
    from induction_heads.figures.drawings.circuits import circuit as drawn

    found = on_row()
    asked, at = found.tokens[found.query], found.tokens[found.key]
    alt = (
        f"The circuit on {' '.join(found.tokens)}. Layer 0 gives each position the mark of the "
        f"token before it. The last position holds {asked}. In layer 1 it looks at position "
        f"{found.key}, which holds {at} and the mark {found.marks[found.key]}, with a weight of "
        f"{found.weight:.2f}, and predicts {found.prediction}."
    )
    return drawn(found, alt)


def chips() -> "Drawing":
    from induction_heads.figures.drawings.circuits import chips as drawn

    found = on_row()
    pairs = ", ".join(
        f"{t} with mark {m}" for t, m in zip(found.tokens, found.marks, strict=True) if m
    )
    return drawn(found, f"Each position before and after the previous-token head: {pairs}.")


def rail() -> "Drawing":
    """The head of chapter 1 at its query 2."""
    import math

    import torch

    from induction_heads.figures.drawings.circuits import rail as drawn
    from induction_heads.models.attention import attention_head, attention_pattern

    stream = torch.eye(5)[[0, 1, 0]]
    pick = torch.eye(5)[:, :2]
    W_Q = math.sqrt(2) * math.log(3) * pick
    weights = attention_pattern(stream @ W_Q, stream @ pick)[2].tolist()
    W_O = torch.eye(5)[3:]
    saw_a, saw_b = attention_head(stream, W_Q, pick, pick, W_O)[2, 3:].tolist()
    written = f"writes {saw_a:.2f} A, {saw_b:.2f} B"
    alt = (
        "Three rails, the residual streams of A, B and A. A head reads the stream of the last "
        f"position for its query and all streams for keys and values, with weights "
        f"{', '.join(f'{w:.2f}' for w in weights)}, and adds to the last one: {written}."
    )
    return drawn(["A", "B", "A"], weights, written, ("reads: query", "reads: keys and values"), alt)


def arcs() -> "Drawing":
    """The head of chapter 1 on its four tokens."""
    import math

    import torch

    from induction_heads.figures.drawings.rows import arcs_and_matrix
    from induction_heads.models.attention import attention_pattern

    labels = ["A", "B", "A", "C"]
    stream, pick = torch.eye(3)[[0, 1, 0, 2]], torch.eye(3)[:, :2]
    pattern = attention_pattern(stream @ pick * math.sqrt(2) * math.log(3), stream @ pick).tolist()
    rows = (
        f"query {q}: {', '.join(f'{w:.2f}' for w in row[: q + 1])}" for q, row in enumerate(pattern)
    )
    alt = (
        "The attention pattern of the head of chapter 1 on A B A C, as arrows from keys to queries "
        f"and as a table. {'; '.join(rows)}."
    )
    return arcs_and_matrix(labels, pattern, alt)


def tables() -> "Drawing":
    """The two tables of the head that chapter 5 writes by hand."""
    from induction_heads.figures.drawings.rows import two_tables

    QK, OV = ((0, 9, 0), (0, 0, 9), (9, 0, 0)), ((0, 0, 5), (0, 5, 0), (5, 0, 0))
    found = []
    for title, kind, table in (
        ("QK: where to look", "previous", QK),
        ("OV: what to write", "induction", OV),
    ):
        largest = max(map(max, table))
        found.append((title, kind, [[value / largest for value in row] for row in table]))
    pairs = [
        ", ".join(f"{LETTERS[i]} to {LETTERS[row.index(max(row))]}" for i, row in enumerate(table))
        for table in (QK, OV)
    ]
    alt = (
        f"Two tables of the tokens A, B and C. QK, from query to key: {pairs[0]}. OV, from the "
        f"attended token to the raised one: {pairs[1]}."
    )
    return two_tables(found, alt, labels=LETTERS[:3], names=("query", "key", "attended", "raised"))


@cache
def small_measured() -> dict[str, float]:
    """How much the second-copy loss of toy-2l rises, in nats, for each cut of its circuit."""
    import torch

    from induction_heads.data.tokens import make_repeated_tokens
    from induction_heads.interp.ablation import ablation_scores, second_copy_loss
    from induction_heads.interp.interventions import (
        path_ablation,
        pattern_preserving_ablation,
        stripe_knockout,
    )
    from induction_heads.models.loading import load_model

    toy = load_model("toy-2l")
    rows = make_repeated_tokens(toy, period=12, batch=64)
    single = ablation_scores(toy, rows, method="zero", last=11)
    with torch.inference_mode():
        clean = second_copy_loss(toy(rows), rows, 12)
    held = second_copy_loss(pattern_preserving_ablation(toy, rows, 0, 0), rows, 12) - clean

    def without_stripe(pattern, hook):
        changed = pattern.clone()
        changed[:, 0] = stripe_knockout(pattern[:, 0], 12)
        return changed

    hooks = [("blocks.1.attn.hook_pattern", without_stripe)]
    with torch.inference_mode():
        knocked = second_copy_loss(toy.run_with_hooks(rows, fwd_hooks=hooks), rows, 12) - clean
    found = {"total": single[0, 0].item(), "held": held, "head": single[1, 0].item()}
    found |= {side: path_ablation(toy, (0, 0), (1, 0), side) for side in "QKV"}
    return found | {"stripe": knocked}


def interventions() -> "Drawing":
    """The cuts, without what they cost."""
    return _interventions(dict.fromkeys(("total", "held", "K", "Q", "head", "stripe"), ""))


def interventions_measured() -> "Drawing":
    measured = small_measured().items()
    return _interventions({name: f"{round(value, 2) + 0.0:+.2f} nats" for name, value in measured})


def _interventions(rise: dict[str, str]) -> "Drawing":
    from induction_heads.figures.drawings.circuits import SmallCircuit, small_circuits

    previous, induction = frozenset({"previous"}), frozenset({"induction"})
    writes = frozenset({"q", "k", "v", "direct"})
    found = [
        SmallCircuit("no L0H0", rise["total"], writes, silent=previous),
        SmallCircuit("patterns held", rise["held"], frozenset({"v", "direct"}), silent=previous),
        SmallCircuit("K path cut", rise["K"], frozenset({"k"})),
        SmallCircuit("Q path cut", rise["Q"], frozenset({"q"})),
        SmallCircuit("no L1H0", rise["head"], frozenset({"out"}), silent=induction),
        SmallCircuit("stripe cut", rise["stripe"], frozenset({"stripe"})),
    ]
    cuts = "; ".join(
        f"{each.title} cuts {', '.join(NAMES[name] for name in sorted(each.cut))}"
        + f" and adds {each.note}" * bool(each.note)
        for each in found
    )
    return small_circuits(found, f"Six ways to cut the circuit of two heads: {cuts}.")


NAMES = {
    "q": "its arrow to the query of L1H0",
    "k": "its arrow to the key",
    "v": "its arrow to the value",
    "direct": "its arrow to the logits",
    "out": "the arrow from L1H0 to the logits",
    "stripe": "what L1H0 takes from the key",
}


def patching() -> "Drawing":
    """A clean and a corrupted row of toy-2l, and where its induction head looks at the end."""
    from induction_heads.data.row_pairs import one_token_changed
    from induction_heads.figures.drawings.rows import Attention, Row, token_rows
    from induction_heads.interp.activations import attention_patterns
    from induction_heads.models.loading import load_model

    model = load_model("toy-2l")
    pair = one_token_changed(model, "key", period=8, batch=1)
    ids = dict.fromkeys([*pair.clean[0].tolist(), *pair.corrupted[0].tolist()])
    letters = {token: "ABCDEFGHX"[number] for number, token in enumerate(ids)}
    changed = int((pair.clean != pair.corrupted)[0].nonzero())
    rows = []
    for title, tokens in (("clean", pair.clean), ("corrupted", pair.corrupted)):
        weights = attention_patterns(model, tokens)[1, 0, 0, -1]
        key, query = int(weights.argmax()), len(weights) - 1
        kinds = ["query" if place in (changed, query) else "" for place in range(query + 1)]
        shown = [letters[token] for token in tokens[0].tolist()]
        arrow = Attention(key, query, weights[key].item(), "induction")
        rows.append(Row(title, shown, [arrow], kinds, f"L1H0 looks most at {shown[key]}"))
    alt = "Two rows that differ in one token. " + ". ".join(
        f"The {row.title} one is {' '.join(row.tokens)}; at the last token {row.note}"
        for row in rows
    )
    return token_rows(rows, alt + ".")


def compositions() -> "Drawing":
    """The three arrows, without what they score."""
    from induction_heads.figures.drawings.circuits import SmallCircuit, small_circuits

    found = [SmallCircuit(f"{side}-composition", "", weights=_side(side, 0.5)) for side in "QKV"]
    alt = (
        "Three ways in which a head of layer 1 can read a head of layer 0: by its query, by its "
        "key, or by its value."
    )
    return small_circuits(found, alt, columns=3)


def compositions_measured() -> "Drawing":
    from induction_heads.figures.drawings.circuits import SmallCircuit, small_circuits
    from induction_heads.interp.composition import composition_scores, random_composition_baseline
    from induction_heads.models.loading import load_attention_only

    scores = composition_scores(load_attention_only("toy-2l"))
    baseline = random_composition_baseline(64, 32)
    above = {side: scores[side][0, 0, 1, 0].item() - baseline for side in "QKV"}
    largest = max(above.values())
    found = [
        SmallCircuit(
            f"{side}-composition", f"{value:+.3f}", weights=_side(side, max(value / largest, 0.0))
        )
        for side, value in above.items()
    ]
    numbers = ", ".join(f"{side} {value:+.3f}" for side, value in above.items())
    alt = f"Composition scores of L0H0 with L1H0 in toy-2l, above the baseline: {numbers}."
    return small_circuits(found, alt, columns=3)


def _side(side: str, weight: float) -> dict[str, float]:
    """The weights of the arrows of a small circuit in which one side counts."""
    others = dict.fromkeys(("q", "k", "v", "direct"), 0.0) | {"stripe": 0.15, "out": 0.15}
    return others | {side.lower(): weight}


def film() -> "Drawing":
    """The first induction head of toy-2l at snapshots of its training."""
    from induction_heads.data.tokens import repeated_tokens
    from induction_heads.figures.drawings.trace import Frame, film_strip
    from induction_heads.interp.activations import attention_patterns
    from induction_heads.models.loading import load_snapshots
    from induction_heads.training.records import shipped_record

    row = repeated_tokens(64, 6, batch=1, seed=3)
    models = load_snapshots("toy-2l")
    steps = sorted(models)
    wanted = [
        min(steps, key=lambda step: abs(step - near)) for near in (0, 100, 130, 165, 205, 400)
    ]
    frames = [
        Frame(step, attention_patterns(models[step], row)[1, 0, 0].tolist())
        for step in sorted(set(wanted))
    ]
    record = shipped_record("toy-2l")
    curve = [(int(step), float(loss)) for step, loss in record["curve"]]
    shown = ", ".join(str(frame.step) for frame in frames)
    alt = (
        f"The pattern of L1H0 of toy-2l on two copies of six tokens at steps {shown}, above the "
        f"training loss. The loss falls from {curve[0][1]:.1f} to {curve[-1][1]:.1f} nats, and the "
        "stripe appears where it falls."
    )
    return film_strip(frames, curve, alt, ("the pattern of L1H0 at a step of training", "step"))


def trace() -> "Drawing":
    """The stream of the hand-built model, read block by block."""
    import torch

    from induction_heads.figures.drawings.trace import WEAKEST, ScoreRow, Stage
    from induction_heads.figures.drawings.trace import trace as drawn
    from induction_heads.interp.activations import attention_patterns
    from induction_heads.models.hand_built import hand_built, hand_built_heads

    model, heads = hand_built("induction"), hand_built_heads("induction")
    tokens = torch.tensor([ROW])
    patterns = attention_patterns(model, tokens)[:, 0]
    first = model.layers[0]
    _, writer = heads["previous_token"]
    blocks = {
        "token": (model.W_E, LETTERS),
        "position": (model.W_pos, "0123456789"),
        "mark": (model.W_E @ first.W_V[writer] @ first.W_O[writer], LETTERS),
        "prediction": (model.W_U.T / model.W_U.norm(dim=0)[:, None], LETTERS),
    }

    def stage(title: str, stream: torch.Tensor) -> Stage:
        held = {}
        for name, (directions, labels) in blocks.items():
            best = (stream @ directions.T).max(dim=1)  # Over tokens, or over positions.
            found = zip(best.values.tolist(), best.indices.tolist(), strict=True)
            held[name] = [
                (labels[index] if strength >= WEAKEST else "", strength)
                for strength, index in found
            ]
        return Stage(title, held)

    with torch.no_grad():
        streams = [model.embed(tokens)]
        for layer in model.layers:
            streams.append(streams[-1] + layer(streams[-1]))
    titles = ("before layer 0", "after layer 0", "after layer 1")
    stages = [stage(title, stream[0]) for title, stream in zip(titles, streams, strict=True)]
    scores = [
        ScoreRow(f"the last query in the {words} head", kind, patterns[heads[name]][-1].tolist())
        for name, words, kind in (
            ("previous_token", "previous-token", "previous"),
            ("induction", "induction", "induction"),
        )
    ]
    alt = (
        "The residual stream of the hand-built model on A B C A B in blocks. "
        + " ".join(
            f"{each.title.capitalize()}: "
            + ", ".join(
                f"{name} {' '.join(v if strength >= WEAKEST else '–' for v, strength in values)}"
                for name, values in each.blocks.items()
                if max(strength for _, strength in values) >= WEAKEST
            )
            + "."
            for each in stages
        )
        + " The last query looks at position "
        + " in layer 0 and at position ".join(
            str(max(range(5), key=each.weights.__getitem__)) for each in scores
        )
        + " in layer 1."
    )
    return drawn(stages, scores, alt)


def data_kinds() -> "Drawing":
    """The start of one row of four kinds of data, with the tokens that the rule gets right."""
    import torch

    from induction_heads.data.toy_rows import DATA_KINDS
    from induction_heads.figures.drawings.rows import Row, token_rows

    found, shown = [], 26
    for kind in ("tiled", "shuffled", "shared-ring-8", "random"):
        generator = torch.Generator().manual_seed(1)
        rows = torch.cat([DATA_KINDS[kind].sample(generator) for _ in range(4)])
        start = [row[:shown].tolist() for row in rows]
        right = [_right_by_rule(row) for row in start]
        # A typical row: its count of right tokens is the median of its kind.
        order = sorted(range(len(start)), key=lambda index: sum(right[index]))
        row, hits = start[order[len(order) // 2]], right[order[len(order) // 2]]
        names = {token: LETTERS[n] for n, token in enumerate(dict.fromkeys(row))}
        kinds = ["hit" if hit else "" for hit in hits]
        found.append(Row(kind, [names[t] for t in row], kinds=kinds))
    alt = (
        "The start of a row of four kinds of data; tokens that the rule predicts are filled. "
        + " ".join(
            f"{row.title}: {''.join(row.tokens)}, {row.kinds.count('hit')} predicted."
            for row in found
        )
    )
    return token_rows(found, alt)


def _right_by_rule(row: list[int]) -> list[bool]:
    """Which tokens follow their predecessor as they did the last time."""
    hits = [False]
    for place in range(1, len(row)):
        earlier = [at for at in range(place - 1) if row[at] == row[place - 1]]
        hits.append(bool(earlier) and row[earlier[-1] + 1] == row[place])
    return hits


def head_kinds() -> "Drawing":
    """One row for each kind of matching head, with the attention that its best head gives."""
    from induction_heads.figures.drawings.rows import Attention, Row, token_rows
    from induction_heads.training.matching_models import most_by_rule, stored_runs

    shapes = {
        "copies": ("A B … A", 1, 3, "the same token"),
        "concepts": ("A B … a", 1, 3, "a similar token"),
        "neighbors": ("A B … A′", 1, 3, "a nearby token"),
        "pairs": ("X A B … Y A C … X A", 2, 9, "two tokens"),
        "gaps": ("A · B … A ·", 2, 5, "across a filler"),
        "translation": ("A B … α", 1, 3, "and writes β"),
    }
    rows = []
    for name, (tokens, key, query, words) in shapes.items():
        found = [most_by_rule(run[-1])[0] for run in stored_runs(name)]
        letters = tokens.split()
        arrows = [Attention(key, query, max(found), "induction")]
        rows.append(Row(f"{name}: {words}", letters, arrows))
    alt = "Where six kinds of heads look, as wide as the attention of the best one. " + "; ".join(
        f"{row.title}, from {row.tokens[row.arrows[0].query]} to {row.tokens[row.arrows[0].key]}"
        for row in rows
    )
    return token_rows(rows, alt + ".")


def hops() -> "Drawing":
    """Where the hand-built circuit for two look-ups looks, layer by layer."""
    import torch

    from induction_heads.figures.drawings.rows import Attention, Row, token_rows
    from induction_heads.interp.activations import attention_patterns
    from induction_heads.models.hop_circuit import hand_built_hops

    letters = "DCBACDA"
    tokens = torch.tensor([[LETTERS.index(letter) for letter in letters]])
    model = hand_built_hops(2, d_vocab=4, n_ctx=len(letters))
    patterns = attention_patterns(model, tokens)[:, 0, 0]  # [layer query key]
    answer = LETTERS[int(model(tokens)[0, -1].argmax())]
    last = len(letters) - 1
    first = int(patterns[1, last].argmax())
    second = int(patterns[1, first].argmax())
    looks = [
        Attention(key, query, patterns[1, query, key].item(), "induction")
        for query, key in ((last, first), (first, second))
    ]
    again = [Attention(first, last, patterns[2, last, first].item(), "induction")]
    rows = [
        Row("second layer: after the latest copy", list(letters), looks),
        Row(f"third layer: take over what is found there, {answer}", list(letters), again),
    ]
    alt = (
        f"The row {' '.join(letters)}, twice. In the second layer the last position looks at "
        f"{letters[first]}, which comes after the latest copy of {letters[last]}; and that "
        f"{letters[first]} looks at {letters[second]}, which comes after the latest copy of "
        f"{letters[first]}. In the third layer the last position looks at the same "
        f"{letters[first]} again and predicts {answer}."
    )
    return token_rows(rows, alt)


def examples() -> "Drawing":
    """A prompt of `tasks-2l`, and where its most effective head looks at the end."""
    import torch

    from induction_heads.data.mapping_rows import N_SYMBOLS, few_shot_prompts
    from induction_heads.figures.drawings.rows import Attention, Row, token_rows
    from induction_heads.interp.activations import attention_patterns
    from induction_heads.models.loading import load_model
    from induction_heads.training.tasks_model import best_head, shipped_records

    effects = shipped_records()[0]["snapshots"][-1]["effect"]
    layer, head = best_head(effects)
    prompt, answer = (rows[0] for rows in few_shot_prompts(0, n_examples=4))
    pattern = attention_patterns(load_model("tasks-2l"), prompt[None])[layer, 0, head]
    names = ["BOS"] + [f"{kind}{n}" for kind in "xy" for n in range(N_SYMBOLS)]
    letters, query = [names[token] for token in prompt.tolist()], len(prompt) - 1
    looked = torch.topk(pattern[query], 4).indices.tolist()
    arrows = [Attention(key, query, pattern[query, key].item(), "induction") for key in looked]
    title = f"Which task? The next token should be {names[int(answer)]}."
    alt = (
        f"The prompt {' '.join(letters)}. At the last position, L{layer}H{head} looks at "
        + ", ".join(f"{letters[key]} ({pattern[query, key]:.2f})" for key in looked)
    )
    return token_rows([Row(title, letters, arrows)], alt + ".")


def two_ways() -> "Drawing":
    """Three kinds of rows of exemplars and labels, and which labels could be copied in each."""
    import torch

    from induction_heads.data.exemplar_rows import (
        N_LABELS,
        RowKind,
        absent_rows,
        class_labels,
        conflict_rows,
        training_rows,
    )
    from induction_heads.figures.drawings.rows import Attention, Row, token_rows

    kind, generator = RowKind(), torch.Generator().manual_seed(0)
    labels, rows, alts = class_labels(kind, seed=1), [], []
    for title, tokens in (
        ("A training row", training_rows(kind, labels, generator, batch=1)[0]),
        ("Its class is absent", absent_rows(kind, labels, batch=1, seed=generator)[0]),
        ("Its label is changed", conflict_rows(kind, labels, batch=1, seed=generator)[0]),
    ):
        asked = tokens[:-1].tolist()
        classes = list(dict.fromkeys(asked[::2]))
        names = [
            str(token) if place % 2 else "ABCDE"[classes.index(token)]
            for place, token in enumerate(asked)
        ]
        query = len(asked) - 1
        shown = [place + 1 for place in range(0, query, 2) if asked[place] == asked[query]]
        copied = sorted({names[place] for place in shown})
        known = int(labels[asked[query] - N_LABELS])
        arrows = [Attention(place, query, 0.8, "induction") for place in shown]
        note = f"to copy: {', '.join(copied) or 'nothing'}; by heart: {known}"
        rows.append(Row(title, names, arrows, note=note))
        alts.append(f"{title}: {' '.join(names)}; {note}.")
    return token_rows(rows, " ".join(alts))


def suppressor() -> "Drawing":
    """Where the induction head and the hand-built suppressor look, and what each does to C."""
    import torch

    from induction_heads.figures.drawings.rows import Attention, Row, token_rows
    from induction_heads.interp.activations import attention_patterns
    from induction_heads.interp.suppression import head_effects
    from induction_heads.models.hand_built import hand_built_suppressor, suppressor_heads
    from induction_heads.models.loading import to_transformer_lens

    model, tokens = to_transformer_lens(hand_built_suppressor(strength=0.5)), torch.tensor([ROW])
    patterns, query, letters = attention_patterns(model, tokens), len(ROW) - 1, LETTERS[:3]
    rows = []
    for name in ("induction", "suppressor"):
        layer, head = suppressor_heads()[name]
        weights = patterns[layer, 0, head, query]
        key = int(weights.argmax())
        effect = head_effects(model, tokens, layer, head)[1][0, -1, ROW[key]].item()
        kind = "induction" if effect > 0 else "previous"
        word = "raises" if effect > 0 else "lowers"
        title = f"{name} head L{layer}H{head}: {word} {letters[ROW[key]]} by {abs(effect):.1f}"
        arrow = Attention(key, query, weights[key].item(), kind)
        rows.append(Row(title, [letters[token] for token in ROW], [arrow]))
    alt = "Two heads on A B C A B, both looking from the last B at C. " + "; ".join(
        row.title for row in rows
    )
    return token_rows(rows, alt + ".")


def text_heads() -> "Drawing":
    """Attention of an induction head of python-2l in two lines of code."""
    from induction_heads.figures.drawings.rows import running_text
    from induction_heads.interp.activations import attention_patterns
    from induction_heads.models.loading import load_model

    model = load_model("python-2l")
    text = "def blend(image, opacity):\n    layer = image * opacity\n"
    text += "    return image + layer * opacity"
    pieces = model.to_str_tokens(text)[1:]
    pattern = attention_patterns(model, model.to_tokens(text))[1, 0, 0][1:, 1:]
    query = max(
        (n for n, piece in enumerate(pieces[:-1]) if "op" in piece), default=len(pieces) - 2
    )
    weights = pattern[query].tolist()
    key = max(range(len(weights)), key=weights.__getitem__)
    alt = (
        f"Three lines of Python in the pieces of python-2l. From the last {pieces[query]!r} "
        f"L1H0 gives {weights[key]:.2f} to {pieces[key]!r}, which followed an earlier copy."
    )
    return running_text(pieces, weights, query, alt)


def directions() -> "Drawing":
    """The three directions of chapter 14 in two dimensions, and its two points."""
    import math

    from induction_heads.figures.drawings.parts import arrow, dot, drawing, words

    center, length = (185.0, 92.0), 34.0
    ends = {}
    parts = []
    for number, angle in enumerate((90, 210, 330), start=1):
        x, y = math.cos(math.radians(angle)), -math.sin(math.radians(angle))
        ends[number] = (x, y)
        tip = (center[0] + length * x, center[1] + length * y)
        parts.append(arrow(center, tip, "", weight=0.3))
        parts.append(words(tip[0] + 12, tip[1] + 6, f"d{number}", size=12))
    (x1, y1), (x2, y2) = ends[1], ends[2]
    points = {"x = 2 d1": (2 * x1, 2 * y1), "y = 2 d1 + 2 d2": (2 * (x1 + x2), 2 * (y1 + y2))}
    for name, (x, y) in points.items():
        place = (center[0] + length * x, center[1] + length * y)
        parts.append(dot(*place))
        end = "end" if x < 0 else "start"
        parts.append(words(place[0] + (-9 if x < 0 else 9), place[1], name, size=12, anchor=end))
    alt = (
        "Three directions d1, d2 and d3 in a plane, 120 degrees apart, and two points: x is twice "
        "d1, y is twice d1 plus twice d2."
    )
    return drawing(parts, 130, alt)


def graph() -> "Drawing":
    """The kept graph of chapter 14 on its row, and the head that it leaves out."""
    from induction_heads.data.tokens import repeated_tokens
    from induction_heads.figures.drawings.trace import ghost_graph
    from induction_heads.interp.attribution_graph import (
        edge_flows,
        logit_direction,
        path_contributions,
    )
    from induction_heads.models.loading import load_attention_only

    toy, query, key = load_attention_only("toy-2l"), 14, 5
    row = repeated_tokens(64, 10, batch=1, seed=0)[0]
    paths = path_contributions(toy, row, query, logit_direction(toy, int(row[query + 1])))
    flows = edge_flows(paths, query)
    found = [(name, flows[("in", key), (name, query)]) for name in ("L1H0", "L1H1")]
    through = sum(abs(flows[("L0H0", key), (name, query)]) for name in ("L1H0", "L1H1"))
    share = through / paths.sum().item()
    alt = (
        "What flows from the right key to the logit of the right token: "
        + ", ".join(f"{flow:.1f} through {name}" for name, flow in found)
        + f". Through the previous-token head L0H0 flows {share:.0%}, so the graph leaves it out."
    )
    return ghost_graph(("A", "B", "B"), found, "L0H0", alt)


def dialogue() -> "Drawing":
    """Attention of the first reader of the bot at the word that chooses the color."""
    from induction_heads.data.dialogues import prompt_tokens, word_tokenizer, wrong_claims
    from induction_heads.figures.drawings.rows import running_text
    from induction_heads.interp.activations import attention_patterns
    from induction_heads.interp.sycophancy import candidate_heads
    from induction_heads.models.loading import load_attention_only

    bot = load_attention_only("sycophant-2l")
    layer, head, _ = candidate_heads(bot, prompt_tokens(wrong_claims(200, seed=1)), threshold=0.4)[
        0
    ]
    tokens = prompt_tokens(wrong_claims(1, seed=0))
    weights = attention_patterns(bot, tokens)[layer, 0, head, -1].tolist()
    tokenizer = word_tokenizer()
    pieces = [f"{tokenizer.id_to_token(token)} " for token in tokens[0].tolist()]
    key = max(range(len(weights)), key=weights.__getitem__)
    alt = (
        f"A dialogue of the bot, word by word. At the last word L{layer}H{head} gives "
        f"{weights[key]:.2f} of its attention to {pieces[key].strip()!r}, which the user claimed."
    )
    return running_text(pieces, weights, len(pieces) - 1, alt)


DRAWINGS = {
    "circuit": circuit,
    "rail": rail,
    "arcs": arcs,
    "chips": chips,
    "tables": tables,
    "compositions": compositions,
    "compositions-measured": compositions_measured,
    "trace": trace,
    "interventions": interventions,
    "interventions-measured": interventions_measured,
    "patching": patching,
    "film": film,
    "data-kinds": data_kinds,
    "head-kinds": head_kinds,
    "hops": hops,
    "examples": examples,
    "two-ways": two_ways,
    "suppressor": suppressor,
    "text-heads": text_heads,
    "directions": directions,
    "graph": graph,
    "dialogue": dialogue,
    **FEATURE_DRAWINGS,
}
"""Name in the pages → the function that computes and draws it."""
