"""The PDF and the EPUB of two pages, made by a browser."""

import importlib.util
import shutil
import zipfile
from pathlib import Path

import pikepdf

from .conftest import needs_site
from .site_server import SITE

EBOOK = Path(__file__).parents[2] / "book" / "ebook.py"
PAGES = ("ch01_attention", "bibliography")


@needs_site
def test_two_pages_become_a_pdf_with_an_outline_and_an_epub(browser, tmp_path):
    spec = importlib.util.spec_from_file_location("ebook", EBOOK)
    assert spec is not None
    assert spec.loader is not None
    ebook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ebook)
    shutil.copytree(SITE / "_static", tmp_path / "_static")
    shutil.copytree(SITE / "_images", tmp_path / "_images")
    for page in PAGES:
        shutil.copy(SITE / f"{page}.html", tmp_path)
    wanted = [ebook.Chapter(page, "Part", 1) for page in PAGES]
    pdf, epub = ebook.make(tmp_path, wanted, browser)
    with pikepdf.open(pdf) as book:
        assert len(book.pages) > 10
        with book.open_outline() as outline:
            titles = [item.title for item in outline.root]
        assert any("Attention" in title for title in titles), titles
        assert book.Root.MarkInfo.Marked  # Readers of screens get its structure.
    with zipfile.ZipFile(epub) as book:
        text = book.read("ch01_attention.xhtml").decode()
    assert "<math" in text
    assert "mjx-container" not in text
    assert "<details" in text
    assert "<button" not in text
