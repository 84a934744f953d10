"""The book as one PDF and one EPUB: every chapter, every link, code with its indentation."""

import os
import re
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

ROOT = Path(__file__).parents[2]
SVG = """<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://x/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg"><defs><path id="space"/><path id="a" d="M1 1"/></defs>
<g id="a"/></svg>"""
FIRST = """<article xmlns="http://www.w3.org/1999/xhtml" class="bd-article"><h1 id="top">One</h1>
<p><a href="#top">here</a> <a href="part/second.html#end">there</a>
<a href="part/second.html">all</a>
<a href="https://example.org/x.html#y">out</a> <a href="_downloads/x.py">file</a></p>
<pre><span>for</span> x:\n<span>    </span><span>y</span></pre>
<math xmlns="http://www.w3.org/1998/Math/MathML"><mi>x</mi></math>
<img src="_images/a.svg" alt="a"/></article>"""
SECOND = """<article xmlns="http://www.w3.org/1999/xhtml" class="bd-article"><h1 id="top">Two</h1>
<svg xmlns="http://www.w3.org/2000/svg"><title id="t">Drawn</title><g aria-labelledby="t"/></svg>
<p id="end"><a href="../first.html#top">back</a></p>
<img src="../_images/a.svg" alt="a"/></article>"""


@pytest.fixture
def ebook(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book"))
    yield __import__("ebook")
    sys.modules.pop("ebook", None)


@pytest.fixture
def site(tmp_path, ebook):
    for name in ebook.STYLES:
        (tmp_path / "_static" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "_static" / name).write_text("")
    (tmp_path / "_images").mkdir()
    (tmp_path / "_images" / "a.svg").write_text(SVG)
    return tmp_path


@pytest.fixture
def read(ebook):
    return [
        ebook.Chapter("first", "Part <one>", 1, "One & only", FIRST),
        ebook.Chapter("part/second", "Part two", 2, "Two", SECOND),
    ]


def test_the_chapters_are_all_pages_of_the_contents_in_order(ebook):
    text = (ROOT / "book" / "_toc.yml").read_text()
    found = [chapter.path for chapter in ebook.chapters(yaml.safe_load(text))]
    assert found == re.findall(r"(?:file|root): (\S+)", text)


def test_every_file_of_the_epub_is_listed_and_every_link_leads_somewhere(ebook, site, read):
    ebook.write_epub(read, site, site / "book.epub")
    with zipfile.ZipFile(site / "book.epub") as book:
        names = book.namelist()
        assert names[0] == "mimetype"
        assert book.getinfo("mimetype").compress_type == zipfile.ZIP_STORED
        texts = {name: book.read(name) for name in names}
    trees = {n: etree.fromstring(texts[n]) for n in names if n.endswith(("xhtml", "svg", "opf"))}
    listed = {item.get("href"): item for item in trees["content.opf"].iter("{*}item")}
    assert listed.keys() | {"mimetype", "META-INF/container.xml", "content.opf"} == set(names)
    assert listed["first.xhtml"].get("properties") == "mathml"
    assert listed["part-second.xhtml"].get("properties") == "svg"
    hrefs = []
    for name in ("nav.xhtml", "first.xhtml", "part-second.xhtml"):
        for element in trees[name].iter("{*}a", "{*}img"):
            href = element.get("href") or element.get("src")
            hrefs.append(href)
            if href.startswith("https:"):
                continue
            file, _, anchor = href.partition("#")
            target = trees[file or name]
            assert not anchor or target.xpath(f"//*[@id='{anchor}']"), (name, href)
    assert sorted(hrefs) == [
        *("first.xhtml", "first.xhtml#top", "first.xhtml#top"),
        *("https://example.org/x.html#y", "images/0.svg", "images/0.svg"),
        *("part-second.xhtml", "part-second.xhtml", "part-second.xhtml#end"),
    ]


def test_the_epub_keeps_the_indentation_of_code(ebook, site, read):
    ebook.write_epub(read, site, site / "book.epub")
    with zipfile.ZipFile(site / "book.epub") as book:
        page = etree.fromstring(book.read("first.xhtml"))
    assert "".join(page.find(".//{*}pre").itertext()) == "for x:\n    y"


def test_a_picture_of_the_epub_keeps_what_is_referred_to(ebook):
    tree = etree.fromstring(ebook.svg_image(SVG.encode()))
    assert tree.getroottree().docinfo.doctype == ""
    assert [path.get("d") for path in tree.iter("{*}path")] == ["M0 0", "M1 1"]
    assert [element.get("id") for element in tree.iter() if element.get("id")] == ["space", "a"]


def test_the_page_to_print_has_each_id_once_and_links_within_it(ebook, site, read):
    page = etree.HTML(ebook.one_page(read))
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    inside = [href[1:] for href in page.xpath("//a/@href") if href.startswith("#")]
    assert inside
    assert set(inside) <= set(ids)
    assert page.xpath("//@aria-labelledby") == ["part-second--t"]
    assert "".join(page.xpath("//pre//text()")) == "for x:\n    y"


def test_the_home_page_links_to_both_files_once(ebook, site):
    home = site / "index.html"
    home.write_text('<p>a</p><p id="book-files"></p><p>b</p>')
    for _ in range(2):
        ebook.link_from_home(site)
    text = home.read_text()
    assert re.findall(r'href="([^"]+)"', text) == ["induction-heads.pdf", "induction-heads.epub"]
    assert text.startswith("<p>a</p>")
    assert text.endswith("<p>b</p>")
    home.write_text("<p>a</p>")
    with pytest.raises(ValueError, match="make book"):
        ebook.link_from_home(site)


def test_without_a_browser_or_a_site_one_sentence_says_what_is_missing(
    ebook, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("CHROMIUM", raising=False)
    assert ebook.main() == 1
    assert "need Chromium" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match=r"no page first\.html\. Run: make book"):
        ebook.read_chapter(None, ebook.Chapter("first", "", 0), tmp_path)
