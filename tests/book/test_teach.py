"""The pages for teachers say what the checks and the chapters say."""

import html
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from each import for_each

from induction_heads.course.registry import chapter_exercises, chapter_stems

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
TEACH = BOOK / "teach"
sys.path.insert(0, str(BOOK / "_ext"))

course_data = import_module("course_data")
course_directives = import_module("course_directives")
notebook_cells = import_module("notebook_cells")

STEMS = chapter_stems()
SHORTS = [stem[:4] for stem in STEMS]
CORE = 9
"""The two days of the syllabus hold this many chapters."""
# What has its answers elsewhere: exercises, solutions and so on; equations; headings.
NOT_PROSE = re.compile(
    r"^:::\{(?:exercise|solution|admonition|self-check)\}.*?^:::$"
    r"|^\$\$.*?^\$\$.*?$|^\(ch.*?\)=$|^#+ .*?$",
    flags=re.M | re.S,
)
# They introduce a definition, and the same paragraph gives it.
NOT_ASKED = {"It answers *where*: which keys does this query look at?"}

each_chapter = for_each("stem", STEMS)
each_short = for_each("short", SHORTS)


def page(name: str) -> str:
    return (TEACH / f"{name}.md").read_text(encoding="utf-8")


def notebooks(stem: str) -> list[Path]:
    """All notebooks of a chapter, the one that shares its stem with the exercises first."""
    found = BOOK.glob(f"{stem[:4]}_*.ipynb")
    return sorted(found, key=lambda path: (path.stem != stem, path.stem))


def markdown(stem: str) -> str:
    return "\n\n".join(map(notebook_cells.prose, notebooks(stem)))


def one_line(text: str) -> str:
    return " ".join(text.split())


def questions(paragraph: str) -> list[str]:
    """The sentences of a paragraph that ask something."""
    sentences = re.split(r"(?<=[.?!])\s+", one_line(paragraph))
    return [sentence for sentence in sentences if sentence.endswith("?")]


def paragraphs_that_ask(stem: str) -> list[list[str]]:
    prose = NOT_PROSE.sub("\n\n", markdown(stem))
    asked = [questions(paragraph) for paragraph in re.split(r"\n\s*\n", prose)]
    return [found for found in asked if found and not NOT_ASKED & set(found)]


def answered() -> list[str]:
    """The questions of the page with answers: the terms of its definition lists."""
    return re.findall(r"^(.+)\n: ", page("reflection"), flags=re.M)


def plans(name: str) -> list[tuple[dict[str, str], list[str]]]:
    """The options and the lines of each class plan of a page."""
    blocks = re.findall(r"^```\{class-plan\}\n(.*?)^```", page(name), flags=re.M | re.S)
    return [
        (
            dict(re.findall(r"^:([\w-]+): *(.*)$", block, flags=re.M)),
            [line for line in block.splitlines() if not line.startswith(":")],
        )
        for block in blocks
    ]


def table(lines: list[str]) -> dict[str, list[int]]:
    """Chapter → the numbers of its row."""
    rows = [re.findall(r"[^|]+", line) for line in lines[2:]]
    return {
        "".join(re.findall(r"\w", first))[-4:]: [int(entry) for entry in rest if entry.strip()]
        for first, *rest in rows
    }


@each_chapter
def test_minutes_are_those_of_the_checks_and_of_the_notebook(stem: str):
    reading = 0
    for path in notebooks(stem):
        code = [
            cell.source
            for cell in notebook_cells.cells(path, "code")
            if "remove-cell" not in cell.metadata.get("tags", [])
            and "figure" not in cell.metadata.get("mystnb", {})  # Folded on the page.
        ]
        lines = [line for source in code for line in source.splitlines() if line.strip()]
        reading += round(len(notebook_cells.prose(path).split()) / 200 + len(lines) / 10)
    checked = {e.name: e.minutes for e in chapter_exercises(stem)}
    announced = re.findall(r":label: ex-ch\d\d-(\S+)\n★+ · (\d+)", markdown(stem))
    paper = [int(m) for name, m in announced if name.replace("-", "_") not in checked]
    expected = [reading, sum(checked.values()), sum(paper)]
    row = table(course_directives.minutes_table(course_data.chapters()))[stem[:4]]
    assert row == [*expected, sum(expected)]


def test_last_row_of_the_minutes_has_the_sums():
    rows = table(course_directives.minutes_table(course_data.chapters()))
    total = rows.pop("all")
    assert list(rows) == SHORTS
    assert total == [sum(column) for column in zip(*rows.values(), strict=True)]


@each_chapter
def test_page_and_check_give_an_exercise_the_same_minutes(stem: str):
    found = list(course_data.EXERCISE.finditer(markdown(stem)))
    assert len(found) == markdown(stem).count(":::{exercise}")
    announced = {each["name"].replace("-", "_"): int(each["minutes"]) for each in found}
    checked = {e.name: e.minutes for e in chapter_exercises(stem)}
    assert {name: announced[name] for name in checked} == checked


def test_syllabus_shows_the_table_and_plans_every_chapter():
    assert page("syllabus").count("```{course-minutes}\n```") == 1
    weeks, *days = (lines for _, lines in plans("syllabus"))
    assert [line[:4] for line in weeks] == SHORTS
    assert [line[:4] for day in days for line in day] == SHORTS[:CORE]


def test_plans_of_the_syllabus_keep_their_limits():
    for options, lines in plans("syllabus"):
        steps = course_data.plan(lines)
        course_directives.plan_lines(steps, int(options["at-most"]), "workshop" in options)


def test_plan_lists_every_exercise_once_and_adds_up():
    (step,) = course_data.plan(["ch03: score_gap_needed, spot_the_error"])
    names = sorted(task.name for task in (*step.live, *step.rest))
    assert names == sorted(task.name for task in course_data.chapter("ch03").tasks)
    live = sum(task.minutes for task in step.live)
    text = "\n".join(course_directives.plan_lines([step], 60, workshop=False))
    assert f'{live} minutes: `score_gap_needed` (10), "Spot the error" (5).' in text
    assert (
        f"After class, {course_data.chapter('ch03').total - step.chapter.reading - live} " in text
    )
    day = "\n".join(course_directives.plan_lines([step], 60, workshop=True))
    assert f"{step.chapter.reading + live} minutes in total" in day


def test_plan_over_its_limit_is_an_error():
    steps = course_data.plan(["ch03: previous_token_readout"])
    with pytest.raises(
        ValueError, match="ch03 has 30 minutes of exercises in class; at most 29 fit"
    ):
        course_directives.plan_lines(steps, 29, workshop=False)
    with pytest.raises(ValueError, match="The workshop takes"):
        course_directives.plan_lines(steps, 30, workshop=True)


def test_plan_with_an_unknown_name_is_an_error():
    with pytest.raises(ValueError, match="ch01 has no exercise called casual_mask"):
        course_data.plan(["ch01: casual_mask"])
    with pytest.raises(ValueError, match="There is no chapter 'ch99'"):
        course_data.plan(["ch99: causal_mask"])


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> str:
    """The text of a small page with all three directives, built by Sphinx without a warning."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(BOOK / '_ext')!r})\n"
        "extensions = ['myst_parser', 'course_directives']\n"
        "myst_enable_extensions = ['deflist']\nsmartquotes = False\nhtml_theme = 'basic'\n"
    )
    chapters = [f"({short})=\n## Chapter {short}\n" for short in SHORTS]
    lists = [f"```{{known-mistakes}} {short}\n```\n" for short in SHORTS]
    plan = "```{class-plan}\n:at-most: 60\nch01: causal_mask\n```\n"
    content = ["# Page\n", "```{course-minutes}\n```\n", plan, *chapters, *lists]
    (folder / "index.md").write_text("\n".join(content), encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", folder, folder / "out"]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    page = (folder / "out" / "index.html").read_text(encoding="utf-8")
    return one_line(html.unescape(re.sub(r"<[^>]+>", "", page)))


@each_chapter
def test_known_mistakes_are_on_the_page_with_their_hints(built: str, stem: str):
    for exercise in chapter_exercises(stem):
        assert f"{exercise.name} · {len(exercise.mistakes)} mistakes" in built
        for mistake in exercise.mistakes:
            for text in (mistake.name, mistake.hint):
                assert one_line(text.replace("`", "")) in built


def test_plan_and_minutes_are_on_the_page(built: str):
    chapter = course_data.chapter("ch01")
    assert "Exercises in class, 3 minutes: causal_mask (3)." in built
    assert f"Before class: the page, {chapter.reading} minutes." in built
    row = [chapter.reading, chapter.minutes(checked=True), chapter.minutes(checked=False)]
    assert " ".join(map(str, ["Chapter ch01", *row, chapter.total])) in built


@each_short
def test_misconceptions_say_what_is_behind_each_chapter(short: str):
    sections = re.split(r"^## ", page("misconceptions"), flags=re.M)[1:]
    (section,) = [each for each in sections if f"```{{known-mistakes}} {short}\n```" in each]
    prose = section.partition("\n")[2].partition("```")[0]
    assert len(prose.split()) >= 20


@each_chapter
def test_every_open_question_of_a_chapter_is_answered(stem: str):
    quoted = one_line("\n".join(answered()))
    for asked in paragraphs_that_ask(stem):
        assert any(sentence in quoted for sentence in asked), asked


def test_answered_questions_are_those_of_the_chapters():
    asked = one_line("\n".join(map(markdown, STEMS)))
    assert [question for question in answered() if question not in asked] == []


def test_answers_have_a_section_for_each_chapter():
    sections = re.findall(r"^## Chapter (\d+): (.+)$", page("reflection"), flags=re.M)
    titles = [markdown(stem).splitlines()[1].removeprefix("# ") for stem in STEMS]
    assert [(f"{int(n)}", title.lower()) for n, title in sections] == [
        (f"{int(short[2:])}", title.lower()) for short, title in zip(SHORTS, titles, strict=True)
    ]


def test_larger_questions_have_a_good_answer_a_weak_one_and_a_figure():
    _, *sections = re.split(r"^## ", page("questions"), flags=re.M)
    parts = [
        r"A good answer contains\n: ",
        r"Common and weak\n: ",
        r"Look at\n: .*\{(?:num)?ref\}`",
    ]
    for number, section in enumerate(sections, start=1):
        assert section.startswith(f"{number}. "), section
        found = [re.search(rf"^{part}", section, flags=re.M) for part in parts]
        assert all(found), section
    assert len(sections) >= 9


def test_rubric_follows_the_ladder_of_chapter_4():
    ladder = re.findall(
        r"^\d\. it \*\*(\w+)\*\*|^\d\. it is \*\*(\w+)\*\*", markdown(STEMS[3]), re.M
    )
    rungs = re.findall(r"^\| \d \| it (?:is )?\*(\w+)", page("rubric"), flags=re.M)
    assert rungs == [a or b for a, b in ladder]
    assert len(rungs) == 5


def test_first_page_links_every_other_one():
    linked = set(re.findall(r"\{doc\}`(\w+)`", page("index")))
    assert linked == {path.stem for path in TEACH.glob("*.md")} - {"index"}
