"""Documents that are no plain text: HTML, PDF, DOCX, XLSX, and texts too long to be read in one piece."""

from __future__ import annotations

import contextlib
import io
import os
import zipfile

import openpyxl
import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import run_process
from server import chat_stream, says
from sm_ask import documents
from sm_ask.documents import Document, kinds
from sm_ask.errors import InputError


def read(data, name="a", encoding=None):
    return list(documents.parse(data, name, encoding))


def pdf(*pages, password=None, algorithm="RC4-128"):
    """A PDF with a line of text on each page."""
    writer = pypdf.PdfWriter()
    generic, name = pypdf.generic, pypdf.generic.NameObject
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    names = generic.DictionaryObject({name(key): name(value) for key, value in font.items()})
    fonts = generic.DictionaryObject({name("/F1"): names})
    for text in pages:
        page = writer.add_blank_page(200, 200)
        content = generic.StreamObject()
        content.set_data(f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode("latin-1"))
        page[name("/Resources")] = generic.DictionaryObject({name("/Font"): fonts})
        page[name("/Contents")] = writer._add_object(content)
    if password is not None:
        writer.encrypt(password, algorithm=algorithm)
    return written(writer)


def written(writer):
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_a_pdf_is_read_page_by_page():
    """Row D6, as it is now: what was refused is read."""
    found = read(pdf("Anna keeps bees", "", "The end"), "a.pdf")
    assert [(document.page, document.text.strip()) for document in found] == [(1, "Anna keeps bees"), (3, "The end")]
    assert found[1].metadata == {"source": "a.pdf", "page": 3}


def test_a_pdf_is_known_by_its_bytes():
    assert read(pdf("Anna"), "a.txt")[0].page == 1


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_a_pdf_that_only_forbids_printing_is_read(algorithm):
    assert read(pdf("Anna", password="", algorithm=algorithm))[0].text.strip() == "Anna"


def test_a_pdf_with_a_password_is_refused():
    with pytest.raises(InputError, match="is a PDF with a password"):
        read(pdf("Anna", password="secret"))


def test_a_pdf_of_pictures_is_refused():
    """Row D7: nothing is answered from nothing."""
    with pytest.raises(InputError, match="is a PDF without text") as caught:
        read(pdf("", ""))
    assert "ocrmypdf" in caught.value.hint


@given(st.binary(max_size=60), st.integers(0, 400))
def test_a_broken_pdf_is_an_error_of_ours(junk, at):
    whole = pdf("Anna")
    for data in (whole[:at], whole[:at] + junk + whole[at:], b"%PDF-1.4\n" + junk):
        if data.startswith(b"%PDF-"):
            with contextlib.suppress(InputError):
                read(data)


def zipped(**parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/") + ".xml", content)
    return out.getvalue()


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def docx(body):
    return zipped(word__document=f"<?xml version='1.0'?><w:document {W}><w:body>{body}</w:body></w:document>")


def paragraph(text, style=""):
    styled = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{styled}<w:r><w:t>{text}</w:t></w:r></w:p>"


def test_a_docx_is_read_paragraph_by_paragraph():
    cells = "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in ("name", "Anna"))
    body = paragraph("Bees", "Heading1") + paragraph("Anna &amp; Tom") + f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>"
    more = "<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r>"
    more += "<w:del><w:delText>gone</w:delText></w:del></w:p>"
    [document] = read(docx(body + more), "a.docx")
    assert document.text == "# Bees\nAnna & Tom\nname | Anna\na\tb c"
    assert document.lines(1, 2) == (2, 3)


def test_entities_that_blow_up_are_refused():
    bomb = "<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><d>&b;</d>"
    with pytest.raises(InputError, match="DOCTYPE"):
        read(zipped(word__document=bomb), "a.docx")


def test_an_archive_that_unpacks_to_too_much_is_refused():
    with pytest.raises(InputError, match="unpacks to more than"):
        read(zipped(word__document=b"\0" * 120_000_000), "a.docx")


@pytest.mark.parametrize(
    "data",
    [zipped(mimetype="epub"), b"PK\x03\x04 broken", docx("<w:p>")[:-40], zipped(word__document="<open")],
    ids=["another archive", "no archive", "cut", "no XML"],
)
def test_other_archives_are_refused(data):
    """Row D6."""
    with pytest.raises(InputError, match=r"'a\.docx'"):
        read(data, "a.docx")


def test_an_xlsx_is_read_sheet_by_sheet():
    book = openpyxl.Workbook()
    book.active.title = "People"
    for row in (("name", "town"), ("Anna", None), ("Tom", "Oslo")):
        book.active.append(row)
    book.create_sheet("Empty")
    book.create_sheet("Years").append([1903, 2.5])
    out = io.BytesIO()
    book.save(out)
    found = read(out.getvalue(), "a.xlsx")
    assert [(document.page, document.text) for document in found] == [
        (1, "# People\n\nname | town\nAnna\nTom | Oslo"),
        (3, "# Years\n\n1903 | 2.5"),
    ]


@pytest.mark.parametrize(("library", "name"), [("openpyxl", "a.xlsx"), ("cryptography", "a.pdf")])
def test_a_missing_extra_is_named(tmp_path, library, name):
    """In a process of its own, where the library cannot be imported."""
    data = zipped(xl__workbook="<x/>") if name == "a.xlsx" else pdf("Anna", password="", algorithm="AES-256")
    (tmp_path / name).write_bytes(data)
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{library!r}] = None\n")
    done = run_process("qa", "Who?", "--doc", str(tmp_path / name), "-p", "local", env=env_with(tmp_path))
    assert (done.code, done.out) == (3, b"")
    assert "the extra `documents`" in done.err
    assert "pip install 'sm-ask[documents]'" in done.err


def env_with(folder):
    return {**os.environ, "PYTHONPATH": str(folder)}


PAGE = """<!doctype html>
<html><head><title>No</title><style>p {}</style>
<body><h1>Bees &amp;
 mills</h1>
<p>Anna <b>keeps</b>
bees.<script>alert("no")</script></p>
<ul><li>one<li>two</ul><table><tr><th>a</th><td>b</td></tr></table>
<pre>x
  y</pre><div>end</div>
"""


def test_html_is_read_as_a_person_does_and_keeps_its_lines():
    [document] = read(PAGE.encode(), "a")
    assert document.text.split("\n") == [
        *("# Bees & mills", "", "Anna keeps bees.", "", "- one", "- two", "", "a | b", "", "x", "  y", "", "end", "")
    ]
    assert [document.lines(number, number)[0] for number in (0, 2, 4, 5, 7, 9, 10, 12)] == [3, 5, 7, 7, 7, 8, 9, 9]


def test_html_says_its_encoding():
    page = '<html><meta charset="latin-1"><p>caf\u00e9</html>'
    assert "caf\u00e9" in read(page.encode("latin-1"), "a.html")[0].text
    with pytest.raises(InputError, match="byte"):
        read("<html><p>caf\u00e9".encode("latin-1"), "a.html")
    assert "caf\u00e9" in read("<html><p>caf\u00e9".encode("latin-1"), "a.html", "latin-1")[0].text


@given(st.text("<>/!-ahp1&;pre \n\"'=", max_size=200))
def test_no_html_upsets_the_reader(text):
    for document in documents.parse(("<html>x" + text).encode(), "a.html", None):
        lines = document.text.split("\n")
        assert len(lines) == len(document.numbers)
        assert list(document.numbers) == sorted(document.numbers)


def test_html_is_source_code_to_prompt(cli, serve, tmp_path):
    (tmp_path / "a.html").write_text("<p>Anna</p>")
    server = serve(says(chat_stream("ok")))
    cli("prompt", "-f", str(tmp_path / "a.html"), "Fix it", server=server)
    cli("qa", "Who?", "--doc", str(tmp_path / "a.html"), server=server)
    assert "<p>Anna</p>" in server.requests[0].json["messages"][0]["content"]
    assert ".html]\nAnna\n" in server.requests[1].json["messages"][0]["content"]


@given(st.text("ab\n\né日🎉 ", min_size=1, max_size=300), st.integers(4, 40))
def test_a_long_text_comes_in_parts_that_are_the_whole(text, size):
    data = text.encode()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    found = list(kinds.parts(pieces, "a.txt"))
    assert "".join(document.text for document in found) == text
    for number, document in enumerate(found):
        assert document.first_line == 1 + "".join(before.text for before in found[:number]).count("\n")


def test_a_byte_that_does_not_fit_is_named_where_it_is():
    """Row D3, in a part of a long file."""
    with pytest.raises(InputError, match=r"'a\.txt' is not utf-8: byte 12 does not fit"):
        list(kinds.parts([b"12345\n", b"7890\n", b"2\xff"], "a.txt"))
    with pytest.raises(InputError, match="a NUL byte at offset 7"):
        list(kinds.parts([b"12345\n", b"7\0"], "a.txt"))


def test_a_long_file_is_read_in_parts(tmp_path, monkeypatch):
    """Row D14 holds for it, too."""
    monkeypatch.setattr(kinds, "PART", 1000)
    path = tmp_path / "a.txt"
    path.write_text("a line of text\n" * 500)
    found = documents.read(str(path))
    first = next(found)
    assert (first.first_line, len(first.text) <= 1000) == (1, True)
    path.write_text("a line of text\n" * 501)
    with pytest.raises(InputError, match="was written to while it was read"):
        list(found)


def test_documents_have_the_names_that_langchain_has():
    document = Document("a.md", "text")
    assert (document.page_content, document.metadata) == ("text", {"source": "a.md"})
