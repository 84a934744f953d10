"""Sphinx directives of the teachers' pages: minutes, class plans and known mistakes.

It also loads the extensions of the other pages, so that _config.yml names only this one.
"""

import re

import course_data as data
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

EXTENSIONS = (
    "api_reference",
    "chapter_boxes",
    "chapter_map",
    "cited_works",
    "drawings",
    "figure_gallery",
    "folded_cells",
    "predictions",
    "self_checks",
    "site_version",
)


class FromData(SphinxDirective):
    """A directive whose page is rebuilt when the data of a chapter change."""

    def depend_on(self, shorts: list[str]) -> None:
        """Register the files of these chapters as dependencies of the page."""
        for short in shorts:
            for file in data.source_files(short):
                self.env.note_dependency(str(file))

    def from_markdown(self, lines: list[str]) -> list[nodes.Node]:
        """The nodes of Markdown text."""
        parent = nodes.Element()
        self.state.nested_parse(StringList(lines), self.content_offset, parent)
        return parent.children


class CourseMinutes(FromData):
    """A table of the minutes of every chapter."""

    def run(self) -> list[nodes.Node]:
        chapters = data.chapters()
        self.depend_on([chapter.short for chapter in chapters])
        return self.from_markdown(minutes_table(chapters))


class ClassPlan(FromData):
    """Work before, in and after each class. One line per chapter: `ch01: name, name`.

    `at-most` is the limit in minutes: for the exercises of one class, or with `workshop` for the
    whole plan. A plan over its limit is an error.
    """

    has_content = True
    option_spec = {"at-most": directives.positive_int, "workshop": directives.flag}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        try:
            steps = data.plan(list(self.content))
            lines = plan_lines(steps, self.options["at-most"], "workshop" in self.options)
        except ValueError as error:
            raise self.error(str(error)) from error
        self.depend_on([step.chapter.short for step in steps])
        return self.from_markdown(lines)


class KnownMistakes(FromData):
    """The known mistakes of a chapter with their hints, folded by exercise."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        short = self.arguments[0]
        try:
            mistakes = data.known_mistakes(short)
        except ValueError as error:
            raise self.error(str(error)) from error
        self.depend_on([short])
        return [_folded(name, listed) for name, listed in mistakes.items()]


def minutes_table(chapters: list[data.Chapter]) -> list[str]:
    """A Markdown table: minutes of reading, checked exercises, exercises on paper, and the sum."""
    lines = ["| chapter | reading | checked | on paper | all |", "|---|--:|--:|--:|--:|"]
    rows = [
        (chapter.reading, chapter.minutes(checked=True), chapter.minutes(checked=False))
        for chapter in chapters
    ]
    for chapter, row in zip(chapters, rows, strict=True):
        lines.append(_row(f"{{ref}}`{chapter.short}`", *row, sum(row)))
    sums = [sum(column) for column in zip(*rows, strict=True)]
    return [*lines, _row("**all**", *sums, sum(sums))]


def plan_lines(steps: list[data.Step], at_most: int, workshop: bool) -> list[str]:
    """A Markdown definition list with one term per chapter.

    Raises ValueError if a class, or the whole workshop, takes more than `at_most` minutes.
    """
    lines: list[str] = []
    day = 0
    for number, step in enumerate(steps, start=1):
        live = sum(task.minutes for task in step.live)
        reading = step.chapter.reading
        needed = reading + live if workshop else live
        day += needed
        if not workshop and live > at_most:
            raise ValueError(
                f"{step.chapter.short} has {live} minutes of exercises in class; "
                f"at most {at_most} fit."
            )
        title = f"{{ref}}`{step.chapter.short}`"
        lines += ["", f"{title}, {needed} minutes" if workshop else f"Week {number}: {title}"]
        first = "Read together" if workshop else "Before class"
        page = "the page" if step.chapter.n_pages == 1 else f"{step.chapter.n_pages} pages"
        lines += ["", f": {first}: {page}, {reading} minutes.", ""]
        lines += [f": Exercises in class, {live} minutes: {_names(step.live)}.", ""]
        left = sum(task.minutes for task in step.rest)
        after = f"{left} minutes: {_names(step.rest)}" if step.rest else "nothing"
        lines += [f": After {'the workshop' if workshop else 'class'}, {after}."]
    if workshop:
        if day > at_most:
            raise ValueError(f"The workshop takes {day} minutes; at most {at_most} fit.")
        lines += ["", f"{day} minutes in total, without breaks."]
    return lines


def _row(*entries: object) -> str:
    return "| " + " | ".join(map(str, entries)) + " |"


def _names(tasks: tuple[data.Task, ...]) -> str:
    """`causal_mask` (3), "Spot the error" (5)."""
    names = [f"`{task.name}`" if task.checked else f'"{task.title}"' for task in tasks]
    return ", ".join(f"{name} ({task.minutes})" for name, task in zip(names, tasks, strict=True))


def _folded(exercise: str, mistakes: list[tuple[str, str]]) -> nodes.Node:
    """A folded box with a definition list: mistake and hint."""
    title = nodes.title(
        "", "", nodes.literal("", exercise), nodes.Text(f" · {len(mistakes)} mistakes")
    )
    items = nodes.definition_list()
    for name, hint in mistakes:
        paragraph = nodes.paragraph("", "", *_with_code(hint))
        items += nodes.definition_list_item(
            "", nodes.term("", "", *_with_code(name)), nodes.definition("", paragraph)
        )
    return nodes.admonition("", title, items, classes=["dropdown", "known-mistakes"])


def _with_code(text: str) -> list[nodes.Node]:
    """Text in which `this` is code."""
    parts = re.split(r"`([^`]+)`", text)
    return [
        nodes.literal("", part) if index % 2 else nodes.Text(part)
        for index, part in enumerate(parts)
        if part
    ]


def setup(app: Sphinx) -> dict:
    app.add_directive("course-minutes", CourseMinutes)
    app.add_directive("class-plan", ClassPlan)
    app.add_directive("known-mistakes", KnownMistakes)
    for name in EXTENSIONS:
        app.setup_extension(name)
    app.add_css_file("pages.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
