"""Folders: which files are read, by git's own rules, and which never."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server import chat_stream, says
from sm_ask import documents
from sm_ask.documents import ignore
from sm_ask.documents.folders import Globs, walk
from sm_ask.errors import InputError


def tree(root, *names, **texts):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"in {name}")
    for name, text in texts.items():
        (root / name).write_text(text)


def files(root, *globs):
    return [os.path.relpath(path, root) for path in walk(str(root), Globs(globs), print)]


def test_a_folder_means_its_files_and_those_below_sorted(tmp_path):
    tree(tmp_path, "b.txt", "a/z.md", "a/b/c.txt", "c.md")
    assert files(tmp_path) == ["a/b/c.txt", "a/z.md", "b.txt", "c.md"]


def test_what_is_hidden_or_a_link_or_no_file_is_left_out(tmp_path):
    """A link could lead out of the folder, and round in a circle."""
    tree(tmp_path, "a.txt", ".hidden", ".git/config", "b/.env")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "round").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert files(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("globs", "found"),
    [
        (["*.md"], ["a.md", "d/b.md"]),
        (["*.md", "!d/**"], ["a.md"]),
        (["!*.md"], ["a.txt", "d/c.txt"]),
        (["d/*"], ["d/b.md", "d/c.txt"]),
        (["/*.txt"], ["a.txt"]),
        (["[ab].md", "**/c.*"], ["a.md", "d/b.md", "d/c.txt"]),
        (["*.pdf"], []),
    ],
)
def test_globs_choose_files(tmp_path, globs, found):
    tree(tmp_path, "a.md", "a.txt", "d/b.md", "d/c.txt")
    assert files(tmp_path, *globs) == found


def test_ignored_files_are_left_out(tmp_path):
    tree(tmp_path, "a.txt", "build/x.txt", "d/a.log", "d/keep.log", "d/b.txt")
    (tmp_path / ".gitignore").write_text("# made\n/build/\n*.log\n!keep.log\n")
    (tmp_path / "d/.gitignore").write_text("b.*\n")
    assert files(tmp_path) == ["a.txt", "d/keep.log"]


def test_the_rules_of_the_repository_above_count(tmp_path):
    tree(tmp_path, "docs/a.txt", "docs/draft.txt", "docs/out/b.txt")
    (tmp_path / ".gitignore").write_text("draft.*\n/docs/out\n")
    assert files(tmp_path / "docs") == ["a.txt", "draft.txt", "out/b.txt"]
    (tmp_path / ".git").mkdir()
    assert files(tmp_path / "docs") == ["a.txt"]


PATHS = ("ab", "a.b", "a-b", "a b", "b/ab", "b/b/a", "b/.a", "#a", "!a", "b-/[a]")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("repository")
    for path in PATHS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


@settings(deadline=None, max_examples=150)
@given(st.lists(st.text("ab*?/!#[]-\\. ", max_size=7), max_size=4))
def test_rules_mean_what_they_mean_to_git(repository, lines):
    (repository / ".gitignore").write_text("\n".join(lines) + "\n")
    asked = ["git", "-C", str(repository), "check-ignore", "--no-index", "-z", "--stdin"]
    done = subprocess.run(asked, input="\0".join(PATHS), capture_output=True, text=True, check=False)
    rules = ignore.rules(lines)

    def ignored(path):
        above = os.path.dirname(path)
        return (above and ignored(above)) or bool(ignore.verdict(rules, path, folder=(repository / path).is_dir()))

    assert {path for path in PATHS if ignored(path)} == set(filter(None, done.stdout.split("\0")))


@pytest.fixture
def ask(cli, serve):
    server = serve(says(chat_stream("ok")))

    def run(*arguments):
        done = cli("qa", "What is in it?", *map(str, arguments), server=server)
        return done, server.requests[-1].json["messages"][0]["content"] if server.requests else ""

    return run


def test_a_folder_is_asked_about(ask, tmp_path):
    tree(tmp_path, "a.txt", "b.md", "d/c.md")
    done, prompt = ask("--doc", tmp_path, "--glob", "*.md")
    assert done.code == 0
    assert ("in a.txt" in prompt, "in b.md" in prompt, "in d/c.md" in prompt) == (False, True, True)


def test_what_is_no_document_in_a_folder_is_left_out_and_told(ask, tmp_path):
    """Rows D3, D5 and D7: in a folder nobody named them, so they are no error."""
    tree(tmp_path, "a.txt")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "c.txt").write_bytes(b"caf\xe9")
    (tmp_path / "d.txt").write_bytes(b" ")
    done, prompt = ask("--doc", tmp_path)
    assert done.code == 0
    assert "in a.txt" in prompt
    assert "3 of 4 files in folders are left out, such as: " in done.err
    assert "b.png' looks binary" in done.err


def test_a_folder_without_any_document_is_an_error(ask, tmp_path):
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done, prompt = ask("--doc", tmp_path)
    assert (done.code, prompt) == (12, "")
    assert "there is no document to ask about" in done.err


@pytest.mark.parametrize("path", ["a.txt", "d/b.txt", "d/../a.txt", "./a.txt", "inner"])
def test_a_path_below_the_root_is_given_resolved(tmp_path, path):
    tree(tmp_path, "a.txt", "d/b.txt")
    (tmp_path / "inner").symlink_to("d/b.txt")
    assert documents.below(str(tmp_path), path) == os.path.realpath(tmp_path / path)


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "d/../../x", "out", "away/passwd", "a\0b", "../{name}-more/x", "~root/../../../x"]
)
def test_a_path_out_of_the_root_is_refused(tmp_path, path):
    """Row D13: by dots, from the root of the disk, or by a link."""
    (tmp_path / "out").symlink_to("/etc/passwd")
    (tmp_path / "away").symlink_to("/etc")
    with pytest.raises(InputError, match="leads out of"):
        documents.below(str(tmp_path), path.format(name=tmp_path.name))
