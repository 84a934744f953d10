"""The description of a page for search engines and shared links."""

import html
import re

LONGEST = 160  # characters
PARAGRAPH = re.compile(r"<p>(.*?)</p>", flags=re.S)
SHORTEST = 40


def description(body: str, title: str) -> str:
    """The first paragraph of an HTML body, truncated at a word; the title if there is none."""
    for paragraph in PARAGRAPH.findall(body):
        text = html.unescape(re.sub(r"<[^>]+>", "", paragraph))
        text = " ".join(text.split())
        if len(text) >= SHORTEST and "\\(" not in text:
            return text if len(text) <= LONGEST else text[: LONGEST - 1].rsplit(" ", 1)[0] + "…"
    return html.unescape(re.sub(r"<[^>]+>", "", title))


def description_tag(body: str, title: str) -> str:
    """The `meta` element with the page's description."""
    return f'<meta name="description" content="{html.escape(description(body, title))}" />'
