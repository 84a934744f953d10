"""Known mistakes of the two patching exercises and of the ratio, each with its hint."""

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake
from induction_heads.course.plain_forward import hook_name


def gap(logits: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    """The right logit minus the wrong one at the last position of each row."""
    last = logits[:, -1]
    return (last.gather(1, right[:, None]) - last.gather(1, wrong[:, None]))[:, 0]


def _right_only(logits: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    return logits[:, -1].gather(1, right[:, None])[:, 0]


def _probabilities(logits: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    return gap(logits.softmax(dim=-1), right, wrong)


def _all_positions(logits: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    ids = torch.stack([right, wrong], dim=1)[:, None].expand(-1, logits.shape[1], -1)
    chosen = logits.gather(2, ids)
    return (chosen[..., 0] - chosen[..., 1]).mean(dim=1)


def patched_by(
    *,
    measure=gap,
    put=lambda z, other, head: torch.where((torch.arange(z.shape[2]) == head)[:, None], other, z),
    reverse: bool = False,
    so_far: bool = False,
    share=lambda patched, start, high, low, noise: (
        (start - patched if noise else patched - start).mean() / (high - low).mean()
    ),
):
    """`activation_patching_effects` with one step changed, by hooks."""

    @torch.no_grad()
    def answer(model, clean, corrupted, right, wrong, direction) -> Tensor:
        noise = (direction == "noise") != reverse
        (high, clean_cache), (low, corrupted_cache) = (
            (measure(logits, right, wrong), cache)
            for logits, cache in (model.run_with_cache(rows) for rows in (clean, corrupted))
        )
        rows, start = (clean, high) if noise else (corrupted, low)
        other = corrupted_cache if noise else clean_cache
        effects = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
        hooks = []
        for layer, head in torch.cartesian_prod(*map(torch.arange, effects.shape)).tolist():

            def hook(z, hook, head=head):
                return put(z, other[hook.name], head)

            hooks = [*(hooks if so_far else []), (hook_name(layer), hook)]
            patched = measure(model.run_with_hooks(rows, fwd_hooks=hooks), right, wrong)
            effects[layer, head] = share(patched, start, high, low, noise)
        return effects

    return answer


def _last_position(z: Tensor, other: Tensor, head: int) -> Tensor:
    changed = z.clone()
    changed[:, -1, head] = other[:, -1, head]
    return changed


ACTIVATION_MISTAKES = (
    Mistake(
        "the two directions are swapped",
        patched_by(reverse=True),
        "To denoise is to repair. Which of the two runs needs a repair?",
    ),
    Mistake(
        "noising returns what is left, not what is lost",
        patched_by(
            share=lambda patched, start, high, low, noise: (
                (patched - low).mean() / (high - low).mean()
            )
        ),
        "A head that matters for nothing should get 0 in both directions. What does it get here?",
    ),
    Mistake(
        "the change is not divided by anything",
        patched_by(
            share=lambda patched, start, high, low, noise: (
                start - patched if noise else patched - start
            ).mean()
        ),
        "What would a head get that carries everything: 1, or a number of logits?",
    ),
    Mistake(
        "the change is divided by the clean difference",
        patched_by(
            share=lambda patched, start, high, low, noise: (
                (start - patched if noise else patched - start).mean() / high.mean()
            )
        ),
        "How much is there to restore? The corrupted run has a logit difference as well.",
    ),
    Mistake(
        "each row is divided by its own difference",
        patched_by(
            share=lambda patched, start, high, low, noise: (
                (start - patched if noise else patched - start) / (high - low)
            ).mean()
        ),
        "In a row where the two runs hardly differ you divide by almost nothing. Which mean comes "
        "first, that of the differences or that of the shares?",
    ),
    Mistake(
        "the whole layer is patched",
        patched_by(put=lambda z, other, head: other),
        "All heads of a layer get the same number here. What does your hook do with the other "
        "heads?",
    ),
    Mistake(
        "all heads but one are patched",
        patched_by(
            put=lambda z, other, head: torch.where(
                (torch.arange(z.shape[2]) == head)[:, None], z, other
            )
        ),
        "Which head comes from the other run in the pass whose result you store?",
    ),
    Mistake(
        "the head is patched at the last position only",
        patched_by(put=_last_position),
        "A head of layer 0 may have written what matters at an earlier position. Which positions "
        "do you patch?",
    ),
    Mistake(
        "the head is set to zero",
        patched_by(
            put=lambda z, other, head: z * (torch.arange(z.shape[2]) != head)[:, None],
        ),
        "That is zero ablation. Where does the value come from in a patch?",
    ),
    Mistake(
        "patched heads stay patched",
        patched_by(so_far=True),
        "Only the first number is right. Which hooks are still on the model when you come to the "
        "second head?",
    ),
    Mistake(
        "only the right token's logit counts",
        patched_by(measure=_right_only),
        "A logit that rises together with all others changes no prediction. What do you subtract?",
    ),
    Mistake(
        "probabilities instead of logits",
        patched_by(measure=_probabilities),
        "The exercise measures a difference of logits. Where is a softmax in your code?",
    ),
    Mistake(
        "the mean over all positions",
        patched_by(measure=_all_positions),
        "At which position does the model answer?",
    ),
    Mistake(
        "functions created in a loop share variables",
        patched_by(
            put=lambda z, other, head: torch.cat([z[:, :, :-1], other[:, :, -1:]], dim=2),
        ),
        "All heads of a layer get the same number here. A function created in a loop looks up its "
        "variables when it is called: which head does it find then?",
    ),
)


def attributed_by(
    *,
    reverse: bool = False,
    factor=lambda other, z: other - z,
    finish=lambda products, total, noise: (
        products.sum(dim=(0, 1, 3)) / total * (-1 if noise else 1)
    ),
    frozen: str | None = None,
    measure=gap,
):
    """`attribution_patching_effects` with one step changed, by gradients.

    `frozen` is a hook point of later layers that does not pass the gradient on.
    """

    def answer(model, clean, corrupted, right, wrong, direction) -> Tensor:
        noise = direction == "noise"
        runs = {}
        with torch.no_grad():
            for name, rows in (("clean", clean), ("corrupted", corrupted)):
                logits, cache = model.run_with_cache(rows)
                runs[name] = (measure(logits, right, wrong).mean(), cache)
        total = runs["clean"][0] - runs["corrupted"][0]
        start, end = ("clean", "corrupted") if noise else ("corrupted", "clean")
        rows = clean if (noise != reverse) else corrupted
        leaves: list[Tensor] = []

        def record(z, hook):
            leaves.append(torch.zeros_like(z, requires_grad=True))
            return z + leaves[-1]

        layers = range(model.cfg.n_layers)
        hooks: list = [(hook_name(layer), record) for layer in layers]
        if frozen:
            hooks += [(hook_name(layer, frozen), lambda v, hook: v.detach()) for layer in layers]
        with torch.enable_grad():
            logits = model.run_with_hooks(rows, fwd_hooks=hooks)
            slopes = torch.autograd.grad(measure(logits, right, wrong).mean(), leaves)
        effects = []
        for layer, slope in enumerate(slopes):
            name = hook_name(layer)
            change = factor(runs[end][1][name], runs[start][1][name])
            effects.append(finish(change * slope, total, noise))
        return torch.stack(effects).detach()

    return answer


ATTRIBUTION_MISTAKES = (
    Mistake(
        "the gradient of the other run",
        attributed_by(reverse=True),
        "A first-order step starts somewhere. Which run do you start from, and where is your "
        "gradient taken?",
    ),
    Mistake(
        "the output itself times its gradient",
        attributed_by(factor=lambda other, z: z),
        "A patch moves the head's output from one value to another. How far does it move?",
    ),
    Mistake(
        "the new output times the gradient",
        attributed_by(factor=lambda other, z: other),
        "A patch moves the head's output from one value to another. Is all "
        "of the new output a change?",
    ),
    Mistake(
        "the sign of noising is reversed",
        attributed_by(finish=lambda products, total, noise: products.sum(dim=(0, 1, 3)) / total),
        "Noising lowers the logit difference. Should what is lost be above or below 0?",
    ),
    Mistake(
        "not divided by the difference of the two runs",
        attributed_by(
            finish=lambda products, total, noise: products.sum(dim=(0, 1, 3)) * (-1 if noise else 1)
        ),
        "What is the unit of your numbers: logits, or a share of what there is to restore?",
    ),
    Mistake(
        "the absolute value",
        attributed_by(
            finish=lambda products, total, noise: products.sum(dim=(0, 1, 3)).abs() / total.abs()
        ),
        "Some heads work against the right token. Where has their sign gone?",
    ),
    Mistake(
        "averaged over the rows a second time",
        attributed_by(
            finish=lambda products, total, noise: (
                products.sum(dim=(1, 3)).mean(dim=0) / total * (-1 if noise else 1)
            )
        ),
        "The measure is a mean over rows already. What does its gradient for one row contain?",
    ),
    Mistake(
        "averaged over the positions",
        attributed_by(
            finish=lambda products, total, noise: (
                products.sum(dim=3).mean(dim=1).sum(dim=0) / total * (-1 if noise else 1)
            )
        ),
        "All positions of the head are patched at once. Do their effects add up, or average?",
    ),
    Mistake(
        "only the last position counts",
        attributed_by(
            finish=lambda products, total, noise: (
                products[:, -1].sum(dim=(0, 2)) / total * (-1 if noise else 1)
            )
        ),
        "Which positions of the head does the patch change?",
    ),
    Mistake(
        "later patterns do not react",
        attributed_by(frozen="pattern"),
        "Your gradient does not pass through the softmax of later heads. Should it?",
    ),
    Mistake(
        "the exact effect, head by head",
        patched_by(),
        "That is activation patching. Can you get all heads from one gradient?",
    ),
)


RATIO_MISTAKES = (
    Mistake(
        "the exact effect",
        lambda: "(exp(s) - 1) / (exp(s) + 1)",
        "That is one of the two effects. What is it compared with?",
    ),
    Mistake(
        "the first-order effect",
        lambda: "2 * s * exp(s) / (1 + exp(s))**2",
        "That is one of the two effects. Does it go on top of the ratio or below?",
    ),
    Mistake(
        "exact over first order",
        lambda: "(exp(s) - exp(-s)) / (2 * s)",
        "For a sure head your number is far above 1. Which of the two effects is on top?",
    ),
    Mistake(
        "the score moves by s",
        lambda: "s / (exp(s) - exp(-s))",
        "The score goes from s to −s. How far is that?",
    ),
    Mistake(
        "the slope halfway",
        lambda: "s * (exp(s) + 1) / (2 * (exp(s) - 1))",
        "You took the slope at 0. In which run is the gradient computed?",
    ),
)
