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


IMAGE = "_static/induction-head.png"
"""What a link to a page shows."""


def description_tag(body: str, title: str, site: str = "", root: str = "") -> str:
    """The `meta` elements that describe a page to search engines and where its link is shared.

    `root` leads from the page to the top of the site, or is the address of the site.
    """
    name = html.unescape(re.sub(r"<[^>]+>", "", title))
    words = html.escape(description(body, title))
    properties = {
        "title": html.escape(name),
        "description": words,
        "type": "article",
        "site_name": html.escape(site),
        "image": f"{root}{IMAGE}",
        "image:alt": "The pattern of an induction head: a stripe below the diagonal.",
    }
    tags = [f'<meta name="description" content="{words}" />']
    tags += [f'<meta property="og:{key}" content="{value}" />' for key, value in properties.items()]
    return "\n".join(tags)
