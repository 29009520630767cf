"""Documents that are no text, not whole, or not there: rows D of the fault matrix, for `prompt -f` and `qa --doc`."""

from __future__ import annotations

import codecs
import gzip
import os
import socket
import subprocess
import sys
import time
import zipfile

import pytest

from server import chat_stream, says

GERMAN = "Größe: 5 €"


@pytest.fixture(params=["prompt", "qa"])
def ask(request, cli, serve):
    """Ask about files with one of the two commands; what the endpoint got comes along."""
    server = serve(says(chat_stream("ok")))
    option = {"prompt": "-f", "qa": "--doc"}[request.param]

    def run(*paths, more=()):
        files = [word for path in paths for word in (option, str(path))]
        done = cli(request.param, "What is it?", *files, *more, server=server)
        sent = [request.json["messages"][0]["content"] for request in server.requests]
        return done, sent

    return run


def refused(result, path, *words):
    done, sent = result
    assert (done.code, done.out, sent) == (12, b"", [])
    assert repr(str(path)) in done.err
    for word in words:
        assert word in done.err
    assert "Traceback" not in done.err


def test_a_missing_file_is_named(ask, tmp_path):
    """Row D1."""
    refused(ask(tmp_path / "no.txt"), tmp_path / "no.txt", "No such file")


@pytest.mark.parametrize("ask", ["prompt"], indirect=True)
def test_a_directory_is_refused(ask, tmp_path):
    """Row D1."""
    refused(ask(tmp_path), tmp_path, "is a directory", "hint: ")


@pytest.mark.parametrize("ask", ["qa"], indirect=True)
def test_an_empty_folder_is_refused(ask, tmp_path):
    """Row D1; what is hidden is not read."""
    (tmp_path / ".hidden").write_text("x")
    refused(ask(tmp_path), tmp_path, "no file to read", "hint: ")


def test_an_unreadable_file_is_refused(ask, tmp_path):
    """Row D1; a link to itself, which root cannot read either."""
    (tmp_path / "loop").symlink_to("loop")
    refused(ask(tmp_path / "loop"), tmp_path / "loop", "cannot be read")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_refused(ask, tmp_path):
    """Row D1."""
    (tmp_path / "a").write_text("x")
    (tmp_path / "a").chmod(0)
    refused(ask(tmp_path / "a"), tmp_path / "a", "Permission denied")


def test_a_pattern_without_a_match_is_refused(ask, tmp_path):
    """Row D1; a directory is no match."""
    (tmp_path / "a.d").mkdir()
    refused(ask(tmp_path / "*.d"), tmp_path / "*.d", "no file matches")


def test_a_pattern_means_its_files_in_order(ask, tmp_path):
    for name in ("b.txt", "a.txt", "[x].md"):
        (tmp_path / name).write_text(f"in {name}")
    (tmp_path / "c.txt").mkdir()
    done, sent = ask(tmp_path / "*.txt", tmp_path / "[x].md")
    assert done.code == 0
    assert sent[0].index("in a.txt") < sent[0].index("in b.txt") < sent[0].index("in [x].md")


def test_a_fifo_does_not_hang(ask, tmp_path):
    """Row D2."""
    os.mkfifo(tmp_path / "pipe")
    refused(ask(tmp_path / "pipe"), tmp_path / "pipe", "not a regular file", "hint: ")


def test_a_device_does_not_hang(ask):
    """Row D2."""
    refused(ask("/dev/zero"), "/dev/zero", "not a regular file")


def test_a_socket_does_not_hang(ask, tmp_path, monkeypatch):
    """Row D2."""
    monkeypatch.chdir(tmp_path)  # the name of a socket may not be long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        refused(ask("sock"), "sock", "not a regular file")


def test_another_encoding_is_refused_with_the_byte(ask, tmp_path):
    """Row D3."""
    (tmp_path / "a.txt").write_bytes("caf\u00e9".encode("latin-1"))
    refused(ask(tmp_path / "a.txt"), tmp_path / "a.txt", "is not utf-8: byte 3 ", "--encoding")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "utf-8"])
def test_an_encoding_can_be_named(ask, tmp_path, encoding):
    """Row D3."""
    text = GERMAN.replace("€", "£")
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    done, sent = ask(tmp_path / "a.txt", more=["--encoding", encoding])
    assert done.code == 0
    assert text in sent[0]


@pytest.mark.parametrize("encoding", ["nonsense", "base64", "ascii", "idna"])
def test_a_wrong_encoding_is_refused(ask, tmp_path, encoding):
    (tmp_path / "a.txt").write_text(GERMAN)
    done, sent = ask(tmp_path / "a.txt", more=["--encoding", encoding])
    assert (done.code, sent) == (12, [])
    assert encoding in done.err


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_understood_and_removed(ask, tmp_path, encoding):
    """Row D4."""
    (tmp_path / "a.txt").write_text(GERMAN, encoding=encoding)
    done, sent = ask(tmp_path / "a.txt")
    assert done.code == 0
    assert GERMAN in sent[0]
    assert "\ufeff" not in sent[0]


@pytest.mark.parametrize(("mark", "encoding"), [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_BE, "utf-16-be")])
def test_a_byte_order_mark_is_removed_in_a_named_encoding_too(ask, tmp_path, mark, encoding):
    """Row D4."""
    (tmp_path / "a.txt").write_bytes(mark + GERMAN.encode(encoding))
    _, sent = ask(tmp_path / "a.txt", more=["--encoding", encoding])
    assert GERMAN in sent[0]
    assert "\ufeff" not in sent[0]


BINARY = {
    "nul": b"text and\0more",
    "png": b"\x89PNG\r\n\x1a\n....",
    "jpeg": b"\xff\xd8\xff\xe0JFIF",
    "gzip": gzip.compress(b"text"),
    "utf-16 without a mark": "text".encode("utf-16-le"),
    "utf-16 of something else": codecs.BOM_UTF16_LE + b"a\0\0\0b\0",
}


@pytest.mark.parametrize("kind", BINARY)
def test_binary_files_are_refused(ask, tmp_path, kind):
    """Row D5."""
    (tmp_path / "a.txt").write_bytes(BINARY[kind])
    refused(ask(tmp_path / "a.txt"), tmp_path / "a.txt", "looks binary")


def test_a_named_encoding_does_not_make_a_binary_file_text(ask, tmp_path):
    """Row D5."""
    (tmp_path / "a.txt").write_bytes(BINARY["nul"])
    refused(ask(tmp_path / "a.txt", more=["--encoding", "latin-1"]), tmp_path / "a.txt", "looks binary")


@pytest.mark.parametrize("ask", ["prompt"], indirect=True)
@pytest.mark.parametrize("before", [b"", b"\r\n ", codecs.BOM_UTF8])
def test_a_pdf_is_refused_even_if_it_is_all_ascii(ask, tmp_path, before):
    """Row D6."""
    (tmp_path / "a.pdf").write_bytes(before + b"%PDF-1.4\n1 0 obj << >> endobj\n%%EOF\n")
    refused(ask(tmp_path / "a.pdf"), tmp_path / "a.pdf", "is a PDF", "pdftotext")


@pytest.mark.parametrize("ask", ["prompt"], indirect=True)
def test_an_office_document_is_refused(ask, tmp_path):
    """Row D6."""
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    refused(ask(tmp_path / "a.docx"), tmp_path / "a.docx", "zip archive", "save it as text")


def test_rich_text_is_refused(ask, tmp_path):
    """Row D6."""
    (tmp_path / "a.rtf").write_text(r"{\rtf1\ansi Hello}")
    refused(ask(tmp_path / "a.rtf"), tmp_path / "a.rtf", "RTF")


@pytest.mark.parametrize("content", [b"", b" \r\n\t\n", codecs.BOM_UTF8])
def test_an_empty_document_is_refused(ask, tmp_path, content):
    """Row D7."""
    (tmp_path / "full.txt").write_text("something")
    (tmp_path / "a.txt").write_bytes(content)
    refused(ask(tmp_path / "full.txt", tmp_path / "a.txt"), tmp_path / "a.txt", "is empty")


def test_line_ends_stay_as_they_are(ask, tmp_path):
    """Row D8."""
    (tmp_path / "a.txt").write_bytes(b"a\r\nb\rc\n\r\n")
    done, sent = ask(tmp_path / "a.txt")
    assert done.code == 0
    assert "a\r\nb\rc\n\r\n" in sent[0]


@pytest.mark.parametrize("text", ["{}", "{question}{context}", "{{x}}", "%s %(a)d %", "$HOME $$ ${a}", "\\1 \\g<0>"])
def test_nothing_in_a_document_is_a_placeholder(ask, tmp_path, text):
    """Row D10."""
    (tmp_path / "a.txt").write_text(f"<{text}>")
    done, sent = ask(tmp_path / "a.txt")
    assert done.code == 0
    assert f"<{text}>" in sent[0]


def test_a_file_that_grows_while_it_is_read_is_refused(ask, tmp_path):
    """Row D14; where nothing was written just then, the next look at the file finds it out."""
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * 4_000_000)
    program = "import sys\nwith open(sys.argv[1], 'ab', 0) as log:\n while True: log.write(b'x')"
    with subprocess.Popen([sys.executable, "-c", program, str(path)]) as writer:
        while path.stat().st_size == 4_000_000:
            assert writer.poll() is None
            time.sleep(0.01)
        done = next((done for done, _ in (ask(path) for _ in range(50)) if "written to" in done.err), None)
        writer.kill()
    assert done
    assert (done.code, done.out) == (12, b"")
    assert f"{str(path)!r} was written to while it was read" in done.err


def test_a_file_larger_than_any_request_is_refused_unread(ask, tmp_path):
    with open(tmp_path / "a.txt", "wb") as file:
        file.truncate(1 << 40)
    refused(ask(tmp_path / "a.txt"), tmp_path / "a.txt", "1,099,511,627,776 bytes")


@pytest.mark.parametrize("name", ["two\nlines", "esc\x1b]52;c;x\x07", "\u202egpj.exe", "caf\udce9"])
def test_a_file_name_is_quoted(ask, tmp_path, name):
    """Row X5."""
    done, _ = ask(tmp_path / name)
    shown = done.err.splitlines()[0]
    assert (done.code, len(done.err.splitlines())) == (12, 1)
    assert ascii(name)[1:-1] in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


@pytest.mark.parametrize("name", ["two\nlines", "esc\x1b]52;c;x\x07", "caf\udce9"])
def test_a_file_of_any_name_can_be_asked_about(ask, tmp_path, name):
    (tmp_path / name).write_text("the text")
    done, sent = ask(tmp_path / name)
    assert (done.code, done.out) == (0, b"ok\n")
    assert "the text" in sent[0]
