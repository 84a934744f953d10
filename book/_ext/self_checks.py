"""Sphinx directive `{self-check}`: a question, and its explained answer in a closed `<details>`."""

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class self_check(nodes.General, nodes.Element):
    """The first child is the question, the others are the answer."""


class question(nodes.General, nodes.TextElement):
    """What the reader sees before the answer is open."""


class SelfCheck(SphinxDirective):
    """The argument is the question, the content its answer."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        self.assert_has_content()
        asked, answered = nodes.Element(), nodes.Element()
        self.state.nested_parse(StringList([self.arguments[0]]), self.content_offset, asked)
        self.state.nested_parse(self.content, self.content_offset, answered)
        (paragraph,) = asked.children
        return [self_check("", question("", "", *paragraph.children), *answered.children)]


def visit_self_check(self, node: self_check) -> None:
    self.body.append('<details class="self-check">\n')


def depart_self_check(self, node: self_check) -> None:
    self.body.append("</details>\n")


def visit_question(self, node: question) -> None:
    self.body.append("<summary>")


def depart_question(self, node: question) -> None:
    self.body.append("</summary>\n")


def visit_text(self, node: nodes.Node) -> None:
    """Other writers print question and answer as text."""


def setup(app: Sphinx) -> dict:
    text = (visit_text, visit_text)
    app.add_node(self_check, html=(visit_self_check, depart_self_check), latex=text, text=text)
    app.add_node(question, html=(visit_question, depart_question), latex=text, text=text)
    app.add_directive("self-check", SelfCheck)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
