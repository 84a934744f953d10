"""Two models, or two checkpoints of one, side by side: whose heads do what, and what changed."""

from typing import Any

from induction_heads.interp.analysis import HeadReport, Report, in_words

SHOWN = ("previous_token", "duplicate_token", "first_token", "current_token")

COLUMNS = (
    "head",
    "model",
    "kinds",
    "induction",
    "copies repeats",
    "logits",
    "previous token",
    "duplicate token",
    "first token",
    "current token",
)


def comparison_data(first: Report, second: Report) -> dict[str, Any]:
    """Both reports and the sentences on what differs, ready for JSON."""
    return {
        "models": [first.model, second.model],
        "reports": [first.as_dict(), second.as_dict()],
        "differences": difference_sentences(first, second),
    }


def table_rows(first: Report, second: Report) -> list[tuple[str, ...]]:
    """Rows of strings in the order of `COLUMNS`: for each place, the head of either model there."""
    places = sorted({(head.layer, head.head) for head in (*first.heads, *second.heads)})
    heads = [{(head.layer, head.head): head for head in report.heads} for report in (first, second)]
    return [
        _row(report.model, by_place[place])
        for place in places
        for report, by_place in zip((first, second), heads, strict=True)
        if place in by_place
    ]


def _row(model: str, head: HeadReport) -> tuple[str, ...]:
    induction, *others = (
        f"{head.score[kind]:.2f} ± {head.spread[kind]:.2f}" for kind in ("induction", *SHOWN)
    )
    copying = f"{head.repeat_copying:+.2f}", f"{head.repeat_logits:+.2f}"
    return head.name, model, in_words(head.kinds), induction, *copying, *others


def difference_sentences(first: Report, second: Report) -> list[str]:
    """What the two have of every kind, what their strongest heads score, and which heads changed.

    Heads are compared place by place only for two checkpoints of one model: in models trained apart
    L1H0 of one has nothing to do with L1H0 of the other.
    """
    kinds = sorted({kind for report in (first, second) for h in report.heads for kind in h.kinds})
    sentences = [_sizes(first, second)]
    sentences += [
        f"{in_words((kind,))}: {_found(first, kind)} in {first.model}; "
        f"{_found(second, kind)} in {second.model}."
        for kind in kinds
    ]
    if not kinds:
        sentences.append(f"No head of either has a kind at threshold {first.threshold}.")
    sentences.append(
        f"Highest induction score: {_strongest(first)} in {first.model}; "
        f"{_strongest(second)} in {second.model}."
    )
    return sentences + (_changes(first, second) if same_model(first, second) else [])


def probe_tokens(first: Report, second: Report) -> str:
    """The ids that the probes of each model were drawn from, in a sentence."""
    if first.tokens == second.tokens:
        return f"Probe tokens: {first.tokens}."
    return f"Probe tokens: {first.model}, {first.tokens}; {second.model}, {second.tokens}."


def same_model(first: Report, second: Report) -> bool:
    """Whether the reports are of two checkpoints of one model: the same name before the @."""
    names = {report.model.partition("@")[0] for report in (first, second)}
    return len(names) == 1 and first.model != second.model


def _sizes(first: Report, second: Report) -> str:
    sizes = []
    for report in (first, second):
        n_layers, n_heads = report.scores("induction").shape
        sizes.append(f"{n_layers} layer{'s' * (n_layers > 1)} of {n_heads} heads")
    if sizes[0] == sizes[1]:
        return f"Both have {sizes[0]}."
    return f"{first.model} has {sizes[0]}, {second.model} {sizes[1]}."


def _found(report: Report, kind: str) -> str:
    heads = report.found(kind)
    return ", ".join(f"L{layer}H{head} ({score:.2f})" for layer, head, score in heads) or "none"


def _strongest(report: Report) -> str:
    head = max(report.heads, key=lambda head: head.score["induction"])
    return f"{head.score['induction']:.2f} (L{head.layer}H{head.head})"


def _changes(first: Report, second: Report) -> list[str]:
    after = {(head.layer, head.head): head for head in second.heads}
    changed = [
        (head, after[head.layer, head.head])
        for head in first.heads
        if after[head.layer, head.head].kinds != head.kinds
    ]
    return [
        f"{old.name}: {in_words(old.kinds, 'no kind')} in {first.model}, "
        f"{in_words(new.kinds, 'no kind')} in {second.model}."
        for old, new in changed
    ] or ["No head changed its kind."]
