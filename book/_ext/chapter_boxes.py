"""Sphinx directives of the chapters: prerequisites, minutes, and how to check the work."""

import chapter_graph as graph
import course_data as data
from course_directives import FromData
from docutils import nodes
from sphinx.application import Sphinx

REPOSITORY = "induction-heads/induction-heads"


class ChapterOpening(FromData):
    """The prerequisites of a notebook and its minutes. The argument is its label."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        label = self.arguments[0]
        try:
            lines = opening_lines(label)
        except ValueError as error:
            raise self.error(str(error)) from error
        for file in data.directive_files():
            self.env.note_dependency(str(file))
        if graph.number(label):
            self.depend_on([label[:4]])
        return [nodes.container("", *self.from_markdown(lines), classes=["chapter-opening"])]


class CheckYourWork(FromData):
    """A box: its content, then the commands and what they print. The argument is the label."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        self.assert_has_content()
        label = self.arguments[0]
        try:
            lines = check_lines(label)
        except ValueError as error:
            raise self.error(str(error)) from error
        self.depend_on([label[:4]])
        content = self.from_markdown([*self.content, "", *lines])
        title = nodes.title("", "Check your work")
        return [nodes.admonition("", title, *content, classes=["tip", "check-your-work"])]


def opening_lines(label: str) -> list[str]:
    """Markdown: one line for the prerequisites, one for the minutes."""
    before = [f"{{ref}}`{graph.full_title(each)} <{each}>`" for each in graph.PREREQUISITES[label]]
    builds_on = f"**Builds on** {' and '.join(before)}" if before else "**Builds on** no chapter"
    if not graph.number(label):
        reading = data.reading_minutes(graph.notebook(label))
        return [f"{builds_on}  ", f"**Minutes** {reading} to read; there are no exercises"]
    page = data.page(label)
    graded, on_paper = (page.minutes(checked=checked) for checked in (True, False))
    paper = f" and {on_paper} for those on paper" if on_paper else ""
    minutes = f"{page.reading} to read, {graded} for the graded exercises{paper}"
    return [f"{builds_on}  ", f"**Minutes** {minutes}"]


def check_lines(label: str) -> list[str]:
    """Markdown: the commands for the chapter of this page, what they print, and links."""
    short = label[:4]
    stem, of_chapter = graph.notebook(label).stem, graph.notebook(short).stem
    names = [task.name for task in data.page(label).tasks if task.checked]
    n_checked = sum(task.checked for task in data.chapter(short).tasks)
    commands = {
        f"check {short}": f"all {n_checked}" + " of the chapter" * (n_checked > len(names)),
        f"check {short} --watch": "on every save",
        f"check {names[0]}": "one of them",
        f"hint {names[0]}": "a hint",
    }
    width = max(map(len, commands))
    colab = f"https://colab.research.google.com/github/{REPOSITORY}/blob/notebooks/notebooks/{stem}.ipynb"
    return [
        "```console",
        *(f"$ induction-heads {line:{width}}  # {comment}" for line, comment in commands.items()),
        "```",
        "",
        "For each exercise the check prints passed, failed or not started. For a failed exercise "
        "it prints what your function returned, what was expected and for which input, and names "
        "the mistake if it is a known one. {ref}`how-to-work` shows an example.",
        "",
        f"The file: {{download}}`exercises/{of_chapter}.py <../exercises/{of_chapter}.py>`. "
        f"The notebook: [in Colab]({colab}), or with the buttons at the top of the page.",
    ]


def setup(app: Sphinx) -> dict:
    app.add_directive("chapter-opening", ChapterOpening)
    app.add_directive("check-your-work", CheckYourWork)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
