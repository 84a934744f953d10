"""The conventions that every page of the book keeps (CONTRIBUTING explains them)."""

import ast
import re
import sys
from importlib import import_module
from pathlib import Path

import yaml
from each import for_each

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_ext"))

notebook_cells = import_module("notebook_cells")
cells, notebook = notebook_cells.cells, notebook_cells.notebook

CHAPTERS = sorted(BOOK.glob("ch[0-9][0-9]_*.ipynb"))
STUDIES = [BOOK / f"{name}.ipynb" for name in ("old_tutorials", "real_text", "why")]
"""Notebooks beside the chapters: they have no exercises."""
PAGES = sorted(BOOK.glob("*.md")) + sorted(BOOK.glob("teach/*.md"))
REPOSITORY = "https://github.com/induction-heads/induction-heads"

INSTALL_CELL = f"""\
try:
    import induction_heads  # noqa: F401
except ModuleNotFoundError:  # Colab starts without the course
    %pip install --quiet git+{REPOSITORY}"""

CHECK_BLOCK = """\
:::{{check-your-work}} {label}
The exercises are the functions in `exercises/{stem}.py`.
Fill them in and run `induction-heads check {short}`.
Or write one in a cell of its own here and call `check(my_function)` after \
`from induction_heads import check`.
:::"""
LAST_HEADING = "## What this does not show"

EMPTY_PHRASES = ("as we can clearly see", "obviously", "it is easy to see", "needless to say")

every_chapter = for_each("path", CHAPTERS)
every_notebook = for_each("path", [*CHAPTERS, *STUDIES])
every_page = for_each("path", [*CHAPTERS, *STUDIES, *PAGES])


def label(path: Path) -> str:
    """`ch07` for the notebook that shares its name with exercises, `ch07-patching` for another."""
    is_first = (ROOT / "exercises" / f"{path.stem}.py").exists()
    return path.stem[:4] if is_first else path.stem.replace("_", "-")


def exercise_file(path: Path) -> Path:
    """The exercises of the chapter of a notebook."""
    (file,) = (ROOT / "exercises").glob(f"{path.stem[:4]}_*.py")
    return file


def text(path: Path) -> str:
    """The prose of a page or of a notebook."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    return notebook_cells.prose(path)


def calls(code: str) -> list[ast.Call]:
    """Every call in a cell. Lines of IPython's own syntax are left out."""
    python = "\n".join(line for line in code.splitlines() if not line.lstrip().startswith("%"))
    try:
        return [node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Call)]
    except SyntaxError:
        return []


def called_name(call: ast.Call) -> str:
    return ast.unparse(call.func)


def test_the_book_has_chapters():
    assert CHAPTERS, "book/ holds no chNN_*.ipynb"


def test_table_of_contents_lists_every_page_once():
    contents = yaml.safe_load((BOOK / "_toc.yml").read_text())
    entries = [entry for part in contents["parts"] for entry in part["chapters"]]
    entries += [page for entry in entries for page in entry.get("sections", ())]
    listed = [entry["file"] for entry in entries]
    present = [
        page.relative_to(BOOK).with_suffix("").as_posix() for page in [*CHAPTERS, *STUDIES, *PAGES]
    ]
    assert sorted([contents["root"], *listed]) == sorted(present)


@every_notebook
def test_notebook_is_stored_without_outputs(path):
    for number, cell in enumerate(cells(path, "code")):
        assert cell["outputs"] == [], f"code cell {number} has outputs: run nbstripout {path}"
        assert cell["execution_count"] is None, f"code cell {number}: run nbstripout {path}"
    assert "widgets" not in notebook(path).metadata


@every_notebook
def test_notebook_runs_on_the_default_kernel(path):
    assert notebook(path).metadata["kernelspec"]["name"] == "python3"


@every_chapter
def test_first_cell_has_the_label_and_the_only_title(path):
    lines = cells(path, "markdown")[0].source.splitlines()
    assert lines[0] == f"({label(path)})="
    assert re.fullmatch(r"# \S.*", lines[1])
    prose = re.sub(r"^```.*?^```", "", text(path), flags=re.M | re.S)
    assert len(re.findall(r"^# ", prose, flags=re.M)) == 1


@every_notebook
def test_first_code_cell_installs_the_course_on_colab(path):
    first = cells(path, "code")[0]
    assert first.source.strip() == INSTALL_CELL
    assert "remove-cell" in first["metadata"].get("tags", [])


def test_every_notebook_is_a_chapter_or_a_study():
    assert sorted([*CHAPTERS, *STUDIES]) == sorted(BOOK.rglob("*.ipynb"))


@every_notebook
def test_first_cell_says_what_comes_and_ends_with_prerequisites_and_minutes(path):
    first = cells(path, "markdown")[0].source
    promise = r"(After (it|this chapter)|On this page) you can:?\n\n- |You will see\n\n- "
    assert re.search(promise, first)
    assert first.endswith(f"\n\n:::{{chapter-opening}} {label(path)}\n:::")
    assert text(path).count("{chapter-opening}") == 1


@every_chapter
def test_check_your_work_stands_between_the_exercises_and_the_end(path):
    stem = exercise_file(path).stem
    block = CHECK_BLOCK.format(stem=stem, short=stem[:4], label=label(path))
    before, found, after = text(path).partition(block)
    assert found
    assert "{check-your-work}" not in before + after
    assert ":::{exercise}" not in after
    headings = re.findall(r"^## .*$", after, flags=re.M)
    assert headings in (
        ["## Summary", "## Self-check", LAST_HEADING],
        ["## Self-check", LAST_HEADING],
    )


@every_notebook
def test_last_section_says_what_the_page_does_not_show(path):
    headings = re.findall(r"^## .*$", text(path), flags=re.M)
    assert headings[-1] == LAST_HEADING
    assert headings.count(LAST_HEADING) == 1


@every_chapter
def test_self_check_before_the_end_has_three_to_five_questions_with_answers(path):
    _, found, after = text(path).partition("## Self-check")
    assert found
    checks, _, _ = after.partition(LAST_HEADING)
    answers = re.findall(
        r"^:::\{self-check\} .+\?(?: .+\.)?\n(\S[^\n]{30,})\n:::$", checks, flags=re.M
    )
    assert 3 <= len(answers) == checks.count("{self-check}") <= 5


@every_chapter
def test_every_exercise_function_has_an_exercise_block(path):
    stub = ast.parse(exercise_file(path).read_text(encoding="utf-8"))
    names = [
        node.name
        for node in stub.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    pages = [text(page) for page in CHAPTERS if page.stem[:4] == path.stem[:4]]
    labels = re.findall(r":label: (\S+)", "\n".join(pages))
    assert len(labels) == len(set(labels))
    wanted = {f"ex-{path.stem[:4]}-{name.replace('_', '-')}" for name in names}
    assert wanted <= set(labels), f"no exercise block for {sorted(wanted - set(labels))}"


@every_notebook
def test_captioned_figures_have_alternative_text_and_a_name(path):
    names = []
    for cell in cells(path, "code"):
        settings = cell["metadata"].get("mystnb", {})
        if "figure" not in settings:
            continue
        figure = settings["figure"]
        assert settings["image"]["alt"].strip(), cell.source
        assert figure["caption"].rstrip().endswith("."), f"a caption is a sentence: {figure}"
        assert figure["name"].startswith(f"fig-{path.stem[:4]}-"), figure
        names.append(figure["name"])
    assert len(names) == len(set(names))


@every_notebook
def test_cells_that_show_a_figure_have_a_caption(path):
    for cell in cells(path, "code"):
        if "remove-cell" in cell["metadata"].get("tags", []):
            continue
        shows = any(called_name(call) == "plt.show" for call in calls(cell.source))
        assert not shows or "figure" in cell["metadata"].get("mystnb", {}), cell.source


@every_notebook
def test_hover_figures_have_alternative_text_and_a_caption(path):
    for cell in cells(path, "code"):
        for call in calls(cell.source):
            if called_name(call).endswith(("hover_patterns", "pattern_frames", "explore")):
                given = {keyword.arg for keyword in call.keywords}
                assert {"alt", "caption"} <= given, cell.source


@every_notebook
def test_code_draws_no_kernel_widget(path):
    """Without a kernel a widget moves and shows nothing new, so the static page has none."""
    for cell in cells(path, "code"):
        assert "ipywidgets" not in cell.source


@every_page
def test_citations_are_in_the_bibliography(path):
    known = set(re.findall(r"^@\w+\{(\S+),", (BOOK / "references.bib").read_text(), flags=re.M))
    cited = re.findall(r"\{cite:\w+\}`([^`]+)`", text(path))
    keys = {key.strip() for group in cited for key in group.split(",")}
    assert keys <= known


@every_page
def test_pages_embed_nothing_from_another_host(path):
    remote = r"!\[[^\]]*\]\(https?:|<(?:img|script|iframe|link)[^>]*https?:|\{image\}\s*https?:"
    assert re.findall(remote, text(path)) == []


@every_page
def test_images_in_the_text_have_alternative_text(path):
    assert re.findall(r"!\[\s*\]\(", text(path)) == []


@every_page
def test_prose_has_no_empty_phrases(path):
    found = [phrase for phrase in EMPTY_PHRASES if phrase in text(path).lower()]
    assert found == []


def test_static_files_are_not_injected_in_every_page():
    """Jupyter Book puts every script and style under book/_static in every page."""
    assert not (BOOK / "_static").exists()


def test_glossary_is_sorted():
    glossary = (BOOK / "glossary.md").read_text(encoding="utf-8")
    block = re.search(r"```\{glossary\}\n(.*?)```", glossary, flags=re.S).group(1)
    terms = re.findall(r"^(\S.*)$", block, flags=re.M)
    assert terms == sorted(terms, key=str.lower)
