"""The modules as one script, and their own tests."""

import re

import pytest

from induction_heads.explorer.script import FOLDER, explorer_script, module_names

from .conftest import HERE


def test_unit_tests_of_the_modules_pass(node):
    output = node("--test", "--test-reporter=tap", *sorted(HERE.glob("*.test.js")))
    assert int(re.search(r"^# pass (\d+)", output, flags=re.M)[1]) >= 20


def test_every_module_comes_after_what_it_imports():
    names = module_names()
    modules = {path.stem: path.read_text() for path in FOLDER.rglob("*.js")}
    assert sorted(names) == sorted(modules)
    for name in names:
        needed = re.findall(r'from "[./]+(?:page/)?(\w+)\.js"', modules[name])
        assert all(names.index(one) < names.index(name) for one in needed)


def test_modules_use_nothing_of_node_and_have_fewer_than_400_lines():
    for path in FOLDER.rglob("*.js"):
        source = path.read_text()
        assert not re.search(r"[\"']node:|\brequire\(|\bprocess\.|\bBuffer\b", source), path.name
        assert source.startswith("// @ts-check\n")
        assert len(source.splitlines()) < 400


def test_script_needs_no_module(node, tmp_path):
    (tmp_path / "script.cjs").write_text(
        explorer_script() + "\nconst { newTraining, trainingOptions, modelOf, run } = explorer;"
        "\nconst { logits } = run(modelOf(newTraining(trainingOptions())), [1, 2, 3]);"
        "\nconsole.log(logits.length, logits.every(Number.isFinite));"
    )
    assert node(tmp_path / "script.cjs").split() == ["96", "true"]


def test_script_can_start_a_worker_with_its_own_text_also_as_a_module(node, tmp_path):
    """A worker gets the text of the function around all modules, whichever file contains it."""
    (tmp_path / "script.mjs").write_text(
        explorer_script()
        + """
        import { resolveObjectURL } from "node:buffer";
        globalThis.Worker = class { constructor(url) { this.url = url; } addEventListener() {} };
        const text = await resolveObjectURL(explorer.labWorker().url).text();
        const asked = new Promise((resolve) => { globalThis.postMessage = resolve; });
        (0, eval)(text);
        const options = explorer.labOptions(explorer.labSettingsFrom(""));
        globalThis.onmessage({ data: { kind: "start", number: 1, options } });
        const { kind, step, weights } = await asked;
        console.log(kind, step, weights.length);
        process.exit();
        """
    )
    assert node(tmp_path / "script.mjs").split() == ["trained", "0", "11264"]


def test_script_of_one_entry_holds_only_what_it_needs():
    assert module_names("scores") == ["scores"]
    assert "modelFrom" not in explorer_script("train")


def test_script_says_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match=r"no module nothing\.js"):
        module_names("nothing")
    for name in ("one", "two"):
        (tmp_path / f"{name}.js").write_text("export function same() {}\n")
    with pytest.raises(ValueError, match=r"one\.js and two\.js both define same"):
        explorer_script(folder=tmp_path)
