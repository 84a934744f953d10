"""Sphinx extension: screen readers announce a folded cell by its visible summary."""

from sphinx.application import Sphinx

# MyST-NB gives every folded cell this label, whatever its summary says.
GENERIC_LABEL = '<summary aria-label="Toggle hidden content">'


def name_by_content(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Remove the generic label, so that the summary text is used."""
    if "body" in context:
        context["body"] = context["body"].replace(GENERIC_LABEL, "<summary>")


def setup(app: Sphinx) -> dict:
    app.connect("html-page-context", name_by_content)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
