"""The explorer's engine in Chromium, from disk: the same numbers as PyTorch, also in a worker."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from explorer.cases import TOYS, largest_difference, random_triples

from induction_heads.explorer.script import explorer_script

ANSWERS = Path(__file__).parents[1] / "explorer" / "answers.js"


def answers_script() -> str:
    """`answers.js` for a page that already has the explorer's script."""
    source = re.sub(
        r'^import \{([^}]*)\} from "[^"]*";$',
        r"const {\1} = explorer;",
        ANSWERS.read_text(),
        flags=re.M,
    )
    return source.replace("export async function answers", "async function answers")


@pytest.fixture
def page(visit, tmp_path):
    (tmp_path / "page.html").write_text(
        f"<!doctype html><meta charset=utf-8><script id=engine>{explorer_script()}</script>"
        f"<script>{answers_script()}</script>"
    )
    seen = visit()
    seen.tab.goto((tmp_path / "page.html").as_uri())
    yield seen
    assert seen.errors == []
    assert seen.requests_outside("file:") == []


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == "toy-2l" else pytest.mark.long) for name in TOYS],
)
def test_logits_in_the_browser_equal_torch(name, page):
    """The engine is the same as in node, where every run tries all toys on more rows."""
    request, expected = random_triples(name, n_cases=30)
    answered = page.tab.evaluate(
        "async text => Array.from(await answers(JSON.parse(text)))", json.dumps(request)
    )
    assert largest_difference(np.array(answered), expected) < 1e-5


def test_training_in_a_worker_gives_what_the_page_gives(page):
    """The worker gets the script's text, so it starts from disk, too."""
    losses = page.tab.evaluate(
        """async () => {
            const { newTraining, trainingOptions, deskFor, trainStep } = explorer;
            const training = newTraining(trainingOptions({ data: { batch: 2 } }));
            const steps = "const d = explorer.deskFor(t); for (let i = 0; i < 5; i++) "
                + "explorer.trainStep(t, d);";
            const source = document.getElementById("engine").textContent
                + `onmessage = ({ data: t }) => { ${steps} postMessage(t); };`;
            const worker = new Worker(URL.createObjectURL(new Blob([source])));
            const there = await new Promise((resolve, reject) => {
                worker.onmessage = (event) => resolve(event.data);
                worker.onerror = reject;
                worker.postMessage(training);
            });
            worker.terminate();
            const desk = deskFor(training);
            for (let i = 0; i < 5; i++) trainStep(training, desk);
            return [training.losses, there.losses];
        }"""
    )
    assert len(losses[0]) == 5
    assert losses[0] == losses[1]
