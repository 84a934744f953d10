"""Inputs of the exercises of chapter 11."""

import torch
from torch import Tensor

from induction_heads.course.exercise import Case, ModelInput
from induction_heads.data.tokens import distinct_tokens, repeated_tokens


def effect_cases(seed: int) -> list[Case]:
    """Trained, random and hand-built models; the corrupted rows have another first copy."""
    toy = ModelInput(name="toy-2l")
    built = ModelInput(kind="induction", options={"seed": seed, "n_heads": 3, "d_vocab": 24})
    random = ModelInput(kind="loud_neighbors", options={"seed": seed, "bos_token": 0})
    cases = []
    for label, model, d_vocab, period, bos in (
        ("toy-2l, period 12", toy, 64, 12, None),
        ("random heads of three layers, behind a BOS token", random, 20, 7, 0),
        ("a hand-built model, three heads a layer", built, 24, 9, None),
    ):
        prompts = repeated_tokens(d_vocab, period, batch=6, seed=seed, bos_token=bos)[:, :-2]
        rows = repeated_tokens(d_vocab, period, batch=5, seed=seed + 1, bos_token=bos)
        answers, corrupted = rows[:, -2], rows[:, :-2].clone()
        # The first copy in another order: the same tokens, which no longer say what comes next.
        first = slice(rows.shape[1] - 2 * period, rows.shape[1] - period)
        corrupted[:, first] = _reordered(corrupted[:, first], seed)
        cases.append(Case(label, (model, prompts, corrupted, answers)))
    return cases


def _reordered(rows: Tensor, seed: int) -> Tensor:
    """The rows with the entries of each shuffled independently."""
    return rows.gather(1, distinct_tokens(rows.shape[1], rows.shape[1], len(rows), seed))


def function_cases(seed: int) -> list[Case]:
    """Random outputs and effects; one head does much harm."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for n_layers, n_heads, width, n in ((2, 4, 6, 3), (3, 2, 5, 2), (4, 3, 8, 5)):
        outputs = torch.randn(n_layers, n_heads, width, generator=generator)
        effects = torch.randn(n_layers, n_heads, generator=generator)
        effects.view(-1)[effects.argmin()] = -4.0  # One head does much harm.
        label = f"{n} of {n_layers} layers of {n_heads} heads"
        cases.append(Case(label, (outputs, effects, n)))
    return cases


def task_cases(seed: int) -> list[Case]:
    """Random residual streams of different numbers and lengths."""
    generator = torch.Generator().manual_seed(seed)
    sizes = ((4, 7, 3, 2, 5), (3, 5, 6, 1, 8), (2, 9, 2, 9, 4))
    return [
        Case(
            f"{b} rows of {p} and {c} rows of {q}",
            (torch.randn(b, p, d, generator=generator), torch.randn(c, q, d, generator=generator)),
        )
        for b, p, c, q, d in sizes
    ]


def patch_cases(seed: int) -> list[Case]:
    """A trained, a random and a hand-built model; source rows of other lengths."""
    toy = ModelInput(name="toy-2l")
    built = ModelInput(kind="induction", options={"seed": seed, "n_heads": 3, "d_vocab": 24})
    random = ModelInput(kind="loud_neighbors", options={"seed": seed, "bos_token": 0})
    cases = []
    for label, model, d_vocab, bos, name in (
        ("toy-2l, in front of layer 1", toy, 64, None, "blocks.1.hook_resid_pre"),
        ("random heads of three layers, after layer 1", random, 20, 0, "blocks.1.hook_resid_post"),
        ("a hand-built model, in front of layer 0", built, 24, None, "blocks.0.hook_resid_pre"),
    ):
        rows = repeated_tokens(d_vocab, 6, batch=4, seed=seed, bos_token=bos)[:, :-2]
        source = repeated_tokens(d_vocab, 7, batch=4, seed=seed + 1, bos_token=bos)[:, :-1]
        cases.append(Case(label, (model, rows, source, name)))
    return cases


def exclusive_cases(seed: int) -> list[Case]:
    """Random scores of which the first heads of one kind are also high in the other."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for n_layers, n_heads, n in ((3, 4, 3), (2, 5, 4), (4, 3, 1)):
        others = torch.randn(n_layers, n_heads, generator=generator)
        scores = 0.8 * others + torch.randn(n_layers, n_heads, generator=generator)
        order = others.flatten().argsort(descending=True)
        scores.view(-1)[order[n - 1]] = 3.7  # The last head that is left out, and the next one.
        scores.view(-1)[order[n]] = 3.5
        scores.view(-1)[others.argmax()] = 4.0  # The first head of both kinds.
        scores.view(-1)[others.argmin()] = 3.0  # Of one kind only.
        label = f"{n} of {n_layers} layers of {n_heads} heads"
        cases.append(Case(label, (scores, others, n)))
    return cases


def copied_cases(seed: int) -> list[Case]:
    """Rows with few ids, in which tokens recur with the same and with other followers."""
    generator = torch.Generator().manual_seed(seed)
    cases = [
        Case(f"{batch} rows of {n_pos} tokens, {ids} ids", (rows,))
        for batch, n_pos, ids in ((4, 14, 3), (3, 20, 5), (5, 9, 2))
        for rows in [torch.randint(ids, (batch, n_pos), generator=generator)]
    ]
    block = distinct_tokens(9, 4, 2, generator)
    return [*cases, Case("a block, three times", (block.repeat(1, 3),))]


def vote_cases(seed: int) -> list[Case]:
    """Rows of few exemplars, in which the query's has one label, several, or none.

    Exemplars are larger than labels. In each case some query is in no pair, and some exemplar has
    different labels in one row.
    """
    generator, cases = torch.Generator().manual_seed(seed), []
    for batch, n_pairs, n_exemplars, n_labels in ((5, 6, 3, 4), (4, 5, 4, 3), (6, 3, 2, 5)):
        exemplars = n_labels + torch.randint(n_exemplars, (batch, n_pairs), generator=generator)
        labels = torch.randint(n_labels, (batch, n_pairs), generator=generator)
        # The first query is in two pairs with different labels, the last one in none.
        query = exemplars[:, 1].clone()
        exemplars[0, 2] = query[0]
        labels[0, 1:3] = torch.tensor([n_labels - 1, 0])
        query[-1] = n_labels + n_exemplars
        pairs = torch.stack([exemplars, labels], dim=-1).flatten(1)
        rows = torch.cat([pairs, query[:, None]], dim=1)
        cases.append(Case(f"{batch} rows of {n_pairs} pairs, {n_labels} labels", (rows, n_labels)))
    return cases


def share_cases(seed: int) -> list[Case]:
    """Random logits; sources that agree in some rows, and that the model follows in some."""
    generator, cases = torch.Generator().manual_seed(seed), []
    for batch, n_labels in ((12, 5), (15, 4), (10, 7)):
        logits = torch.randn(batch, n_labels, generator=generator)
        best = logits.argmax(dim=-1)
        from_context, from_weights = torch.randint(
            n_labels, (2, batch), generator=generator
        ).unbind()
        from_context[:3] = best[:3]
        from_weights[:3] = (best[:3] + 1) % n_labels
        from_weights[3:5] = best[3:5]
        from_context[3:5] = (best[3:5] + 1) % n_labels
        from_context[5] = from_weights[5] = (best[5] + 1) % n_labels  # Both wrong.
        from_context[6] = from_weights[6] = best[6]  # Both right.
        from_context[7], from_weights[7] = (best[7] + 1) % n_labels, (best[7] + 2) % n_labels
        order = torch.rand(batch, generator=generator).argsort()
        args = (logits[order], from_context[order], from_weights[order])
        cases.append(Case(f"{batch} rows, {n_labels} labels", args))
    return cases


def fall_cases(seed: int) -> list[Case]:
    """Random curves, one that only rises, one whose largest fall is not from its highest value."""
    generator, cases = torch.Generator().manual_seed(seed), []
    for n_runs, n_snapshots in ((5, 8), (4, 6), (6, 11)):
        values = torch.rand(n_runs, n_snapshots, generator=generator)
        values[0] = values[0].sort().values  # Never falls.
        values[1, :4] = torch.tensor([0.3, 0.7, 0.05, 0.2])  # Falls by .65, and then recovers …
        values[1, 4:] = torch.linspace(0.8, 1.0, n_snapshots - 4)  # … to a higher value.
        values[2, 0] = 1.2  # Highest at the start.
        cases.append(Case(f"{n_runs} runs of {n_snapshots} snapshots", (values,)))
    return cases
