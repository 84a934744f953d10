"""The whole book as one PDF and one EPUB, made from the pages of the built site.

Run `make ebook` after `make book`. It needs Chromium (`CHROMIUM` may name the program).
Both files are written beside the site's home page, which then links to them.
"""

import os
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pikepdf
import yaml
from bs4 import BeautifulSoup, Tag
from jinja2 import Environment, FileSystemLoader
from playwright.sync_api import Browser, Error, Page, sync_playwright

BOOK = Path(__file__).resolve().parent
SITE = BOOK.parent / "_build" / "html"
EBOOK_STYLE = BOOK / "assets" / "ebook.css"
NAME = "induction-heads"
TITLE = "Induction Heads: a hands-on course"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
STYLES = ("pygments.css", "styles/sphinx-book-theme.css", "exercise.css", "pages.css", "course.css")
"""The site's style sheets that shape what a page prints, within `_static`."""

# A page as it looks without scripts, except that formulas are MathML, which needs no script.
# The code of figures, which the site folds away, is left out. A figure that needs a script shows
# its table instead.
ARTICLE = """async () => {
  if (window.MathJax?.startup) await MathJax.startup.promise;
  for (const formula of document.querySelectorAll("mjx-container")) {
    const math = formula.querySelector("mjx-assistive-mml > math");
    if (math) formula.replaceWith(math);
  }
  const article = document.querySelector("article.bd-article").cloneNode(true);
  const unwanted = ["script", "style", "button", "input", "textarea", "select", ".headerlink",
    "details.hide", ".pattern-frames details", ".pattern-frames label"];
  article.querySelectorAll(unwanted.join()).forEach((element) => element.remove());
  // Sphinx gives these two to every exercise and solution.
  const repeated = "#exercise-content, #solution-content";
  article.querySelectorAll(repeated).forEach((element) => element.removeAttribute("id"));
  article.querySelectorAll("details").forEach((element) => { element.open = true; });
  // The canvas of the copy is empty: the picture is taken from the page.
  const drawn = document.querySelectorAll("article.bd-article canvas");
  article.querySelectorAll("canvas").forEach((canvas, i) => {
    const image = document.createElement("img");
    image.src = drawn[i].toDataURL();
    image.alt = canvas.getAttribute("aria-label");
    canvas.replaceWith(image);
  });
  article.querySelectorAll("output").forEach((element) => element.removeAttribute("for"));
  article.querySelectorAll("svg[role=group]").forEach((svg) => svg.setAttribute("role", "img"));
  return new XMLSerializer().serializeToString(article);
}"""


@dataclass(frozen=True)
class Chapter:
    """One page of the site: its path without suffix, its part of the book, its article as XHTML."""

    path: str
    part: str
    part_number: int
    title: str = ""
    article: str = ""

    @property
    def key(self) -> str:
        """The path as one word, for the names of files and places."""
        return self.path.replace("/", "-")


def chapters(toc: dict) -> list[Chapter]:
    """The pages in the order of the table of contents, each with the part that it belongs to."""
    found = [Chapter(toc["root"], TITLE, 0)]
    for i, part in enumerate(toc["parts"], start=1):
        for entry in part["chapters"]:
            pages = [entry, *entry.get("sections", [])]
            found += [Chapter(page["file"], part["caption"], i) for page in pages]
    return found


def read_chapter(page: Page, chapter: Chapter, site: Path) -> Chapter:
    """The chapter with its title and its article.

    Raises `FileNotFoundError` if the site lacks the page.
    """
    source = site / f"{chapter.path}.html"
    if not source.exists():
        raise FileNotFoundError(f"The site has no page {chapter.path}.html. Run: make book")
    page.goto(source.as_uri(), wait_until="load")
    article = page.evaluate(ARTICLE)
    title = page.locator("article.bd-article h1").first.inner_text()
    return replace(chapter, title=title.strip(), article=article)


def place(href: str, chapter: Chapter, keys: dict[str, str], of_page: str) -> str:
    """Where a link of the site leads in the book; links out of it are left alone.

    `of_page` says how a place is written, of `key` (a chapter) and `anchor`.
    """
    if re.match(r"[a-z]+:|//", href):
        return href
    path, _, anchor = href.partition("#")
    if path:
        target = os.path.normpath(Path(chapter.path).parent / unquote(path))
        key = keys.get(target.removesuffix(".html"))
        if key is None:
            return ""
    else:
        key = chapter.key
    if not anchor:
        return of_page.format(key=key, anchor="").rstrip("#")
    return of_page.format(key=key, anchor=anchor)


def rewritten(chapter: Chapter, keys: dict[str, str], of_page: str, image) -> BeautifulSoup:
    """The article with links and images as the book needs them; `image(path)` names an image."""
    soup = BeautifulSoup(chapter.article, "xml", preserve_whitespace_tags={"pre"})
    for link in soup.find_all("a", href=True):
        href = place(str(link["href"]), chapter, keys, of_page)
        if href:
            link["href"] = href
        else:
            link.name = "span"  # A download, or a page that the book does not have.
            link.attrs.clear()
    for picture in soup.find_all("img", src=True):
        source = unquote(str(picture["src"]).split("?")[0])
        if not source.startswith("data:"):
            picture["src"] = image(os.path.normpath(Path(chapter.path).parent / source))
    return soup


def one_page(read: list[Chapter]) -> str:
    """All chapters as one HTML page of the site's folder, with every `id` made unique."""
    keys = {chapter.path: chapter.key for chapter in read}
    articles = []
    for chapter in read:
        soup = rewritten(chapter, keys, "#{key}--{anchor}", lambda path: path)
        for element in soup.find_all(id=True):
            element["id"] = f"{chapter.key}--{element['id']}"
        for element in soup.find_all(True):
            for attribute in {"aria-labelledby", "aria-describedby", "for"} & element.attrs.keys():
                element[attribute] = f"{chapter.key}--{element[attribute]}"
        root = soup.find("article")
        assert isinstance(root, Tag)
        text = re.sub(r"url\(#", f"url(#{chapter.key}--", root.decode(formatter="minimal"))
        articles.append(f'<div class="ebook-page" id="{chapter.key}--">{text}</div>')
    styles = "".join(f'<link rel="stylesheet" href="_static/{name}">' for name in STYLES)
    return (
        f'<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">'
        f"<title>{TITLE}</title>{styles}<style>{EBOOK_STYLE.read_text()}"
        f"</style><body>{''.join(articles)}</body></html>"
    )


def write_pdf(browser: Browser, read: list[Chapter], site: Path, target: Path) -> None:
    """Print all chapters into one PDF, with an outline, page numbers and links that work."""
    source = site / "_ebook.html"  # In the site's folder, so that images and styles are found.
    page = browser.new_page()
    try:
        source.write_text(one_page(read), encoding="utf-8")
        page.goto(source.as_uri(), wait_until="load", timeout=300_000)
        page.pdf(
            path=target,
            format="A4",
            margin={"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"},
            print_background=True,
            outline=True,
            tagged=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template='<div style="width: 100%; text-align: center; font-size: 8px">'
            '<span class="pageNumber"></span></div>',
        )
    finally:
        page.close()
        source.unlink(missing_ok=True)
    # A third of the size: Chromium writes every part of the document's structure plainly.
    with pikepdf.open(target, allow_overwriting_input=True) as book:
        book.save(target, object_stream_mode=pikepdf.ObjectStreamMode.generate)


def svg_image(content: bytes) -> bytes:
    """A picture of Matplotlib as EPUB allows it.

    It gets no document type, no path without data, and no `id` twice.
    """
    soup = BeautifulSoup(content, "xml")
    for part in soup.contents:
        if not isinstance(part, Tag):
            part.extract()
    for path in soup.find_all("path"):
        if not path.get("d"):
            path["d"] = "M0 0"  # The glyph of a space, which other parts refer to.
    seen = set()
    for element in soup.find_all(id=True):
        if element["id"] in seen:
            del element["id"]
        else:
            seen.add(element["id"])
    return soup.encode("utf-8")


def write_epub(read: list[Chapter], site: Path, target: Path) -> None:
    """One EPUB 3 with a file for each page, its images, and the parts in its contents."""
    keys = {chapter.path: chapter.key for chapter in read}
    images: dict[str, str] = {}

    def image(path: str) -> str:
        return images.setdefault(path, f"images/{len(images)}{Path(path).suffix}")

    pages = []
    for chapter in read:
        soup = rewritten(chapter, keys, "{key}.xhtml#{anchor}", image)
        uses = [name for name, tag in (("mathml", "math"), ("svg", "svg")) if soup.find(tag)]
        body = soup.decode_contents().partition("?>")[2]
        pages.append({"chapter": chapter, "body": body, "properties": " ".join(uses)})
    templates = Environment(loader=FileSystemLoader(BOOK / "_templates" / "epub"), autoescape=True)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    values = {"title": TITLE, "name": NAME, "pages": pages, "images": images, "now": now}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as book:
        # The format asks for this file first, and not compressed.
        book.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        for name in ("META-INF/container.xml", "content.opf", "nav.xhtml"):
            text = templates.get_template(Path(name).name).render(values)
            book.writestr(name, text)
        for page in pages:
            text = templates.get_template("page.xhtml").render(page)
            book.writestr(f"{page['chapter'].key}.xhtml", text)
        style = (site / "_static" / "pygments.css").read_text() + EBOOK_STYLE.read_text()
        book.writestr("style.css", style)
        for path, name in images.items():
            content = (site / path).read_bytes()
            book.writestr(name, svg_image(content) if name.endswith(".svg") else content)


def link_from_home(site: Path) -> None:
    """Fill the home page's empty line with links to both files."""
    home = site / "index.html"
    links = f'As one file: <a href="{NAME}.pdf">PDF</a>, <a href="{NAME}.epub">EPUB</a>.'
    text = home.read_text(encoding="utf-8")
    line = re.compile(r'<p id="book-files"[^>]*>.*?</p>', re.S)
    if not line.search(text):
        raise ValueError(f"{home} has no line for the links. Run: make book")
    home.write_text(line.sub(f'<p id="book-files">{links}</p>', text), encoding="utf-8")


def allowed(route) -> None:
    """Load everything of a page but its scripts, those of the formulas apart."""
    request = route.request
    if request.resource_type == "script" and "mathjax" not in request.url:
        route.abort()
    else:
        route.continue_()


def make(site: Path, wanted: list[Chapter], browser: Browser) -> tuple[Path, Path]:
    """Write the PDF and the EPUB of these pages beside the home page; return both paths."""
    page = browser.new_page(color_scheme="light")
    page.route("**/*", allowed)
    read = []
    for i, chapter in enumerate(wanted):
        read.append(read_chapter(page, chapter, site))
        print(f"\rread {i + 1} of {len(wanted)} pages", end="", flush=True)
    print()
    page.close()
    files = site / f"{NAME}.pdf", site / f"{NAME}.epub"
    write_pdf(browser, read, site, files[0])
    write_epub(read, site, files[1])
    return files


def main() -> int:
    """Write both files and link to them. Returns 1 if something is missing."""
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        print("The PDF and the EPUB need Chromium, which is not on the path.", file=sys.stderr)
        return 1
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text())
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
            )
            files = make(SITE, chapters(toc), browser)
        link_from_home(SITE)
    except (FileNotFoundError, ValueError, Error) as error:
        print(error, file=sys.stderr)
        return 1
    for file in files:
        print(f"wrote {file.relative_to(BOOK.parent)} ({file.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
