"""The drawings of chapters 14 and 15 on what is read from a stream; see `drawing_data`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from induction_heads.figures.drawings.parts import Drawing

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def probe() -> "Drawing":
    """Streams of toy-2l along a probe for one token, and along what they differ in most besides."""
    import torch

    from induction_heads.figures.drawings.features import probe_plane
    from induction_heads.interp.linear_probes import ridge_probe
    from induction_heads.interp.logit_lens import residual_streams
    from induction_heads.models.loading import load_model
    from induction_heads.training.recipes import RECIPES

    sample, wanted = RECIPES["toy-2l"].sample, 7
    generator = torch.Generator().manual_seed(0)
    toy, rows = load_model("toy-2l"), torch.cat([sample(generator) for _ in range(8)])
    stream = residual_streams(toy, rows)[1].flatten(0, 1)
    has = (rows == wanted).flatten()
    weights, _ = ridge_probe(stream, has.long(), 2, 1e-3)
    read = torch.nn.functional.normalize(weights[:, 1], dim=0)
    centered = stream - stream.mean(dim=0)
    rest = centered - (centered @ read)[:, None] * read
    across = torch.linalg.svd(rest, full_matrices=False).Vh[0]
    shown = torch.cat([has.nonzero().flatten()[:14], (~has).nonzero().flatten()[::211][:36]])
    plane = (centered @ torch.stack([read, across], dim=1))[shown]
    low, high = plane.min(dim=0).values, plane.max(dim=0).values
    points = [(x, y) for x, y in ((plane - low) / (high - low)).tolist()]
    inside = has[shown].tolist()
    here = [point for point, own in zip(points, inside, strict=True) if own]
    others = [point for point, own in zip(points, inside, strict=True) if not own]
    alt = (
        f"{len(points)} streams of toy-2l as dots. Across the drawing runs the direction that a "
        f"linear probe has learned for one token. {len(here)} filled dots are streams at that "
        f"token, {len(others)} empty ones are streams at others."
    )
    return probe_plane(here, others, "one token is here", alt)


def lenses() -> "Drawing":
    """What the logit lens says of the last position of a line of code, depth by depth."""
    from induction_heads.figures.drawings.features import two_lenses
    from induction_heads.interp.logit_lens import logit_lens
    from induction_heads.models.loading import load_model

    text = "import os\nimport sys\n\nif name not in"
    model = load_model("pythia-4l")
    best = logit_lens(model, model.to_tokens(text))[:, 0, -1].argmax(dim=-1)
    says = [model.to_str_tokens(token[None])[-1] for token in best]
    titles = ["embedding", *(f"layer {layer}" for layer in range(len(says) - 1))]
    shown = [repr(piece)[1:-1].replace(" ", "␣")[:9] for piece in says]
    alt = (
        f"The stream of pythia-4l after {text.splitlines()[-1]!r}, read at each depth. The logit "
        "lens reads it as if it were the last: "
        + ", ".join(f"{title} {piece}" for title, piece in zip(titles, shown, strict=True))
        + ". The tuned lens first passes it through a map A of its own; what it says is left open."
    )
    return two_lenses(list(zip(titles, shown, strict=True)), alt)


def stand_in() -> "Drawing":
    """A transcoder of MLP 0 of tasks-2l at the last input of a prompt."""
    import torch

    from induction_heads.data.mapping_rows import few_shot_prompts, training_rows
    from induction_heads.figures.drawings.features import stand_in as drawn
    from induction_heads.interp.transcoder import mlp_vectors, train_transcoder
    from induction_heads.models.loading import load_model

    tasks, generator = load_model("tasks-2l"), torch.Generator().manual_seed(0)
    rows = torch.cat([training_rows(generator) for _ in range(8)])
    inputs, outputs = (v.flatten(0, 1) for v in mlp_vectors(tasks, rows, 0))
    transcoder = train_transcoder(inputs, outputs, steps=200)
    prompt = few_shot_prompts(0, 1)[0]
    x, y = (vectors[0, -1] for vectors in mlp_vectors(tasks, prompt, 0))
    activations = transcoder.activations(x)
    on = activations[activations > 0].sort(descending=True).values
    missed = (y - transcoder(x)).norm()
    largest = max(on.max(), missed)
    alt = (
        "An MLP turns x into y. Its stand-in turns x into y with features: "
        f"{len(on)} of {len(activations)} are on, drawn as wide as they are. What they miss is one "
        "more node, with a dashed arrow."
    )
    off = len(activations) - len(on)
    return drawn("x", (on / largest).tolist(), off, (missed / largest).item(), alt)


def unknown_heads() -> "Drawing":
    """The heads of the worked example, and a row on which they are measured."""
    from induction_heads.figures.drawings.features import unknown_heads as drawn
    from induction_heads.interp.claims import claim_rows
    from induction_heads.training.unseen_models import worked_example

    match, config = 3, worked_example().config
    row = claim_rows(config.d_vocab, match, batch=1)[0].tolist()
    names = {token: LETTERS[n] for n, token in enumerate(dict.fromkeys(row))}
    letters = [names[token] for token in row]
    alt = (
        f"{config.n_layers} layers of {config.n_heads} heads, each with a question mark for a "
        f"name. Below them the row {' '.join(letters)}. Its last {match} tokens are "
        "also its first. What comes next is a question mark."
    )
    return drawn(letters, match, config.n_layers, config.n_heads, alt)


FEATURE_DRAWINGS = {
    "probe": probe,
    "lenses": lenses,
    "stand-in": stand_in,
    "unknown-heads": unknown_heads,
}
