"""The house: imports run one way, each library has one owner, and nothing grows too large."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sm_ask
from conftest import at
from server import chat_stream, says

PACKAGE = Path(sm_ask.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

#: Which rooms a room may import; none may import one that stands below it.
ROOMS = {
    "redaction": set(),
    "errors": {"redaction"},
    "chat": set(),
    "slips": set(),
    "wire": {"errors"},
    "complaints": {"errors"},
    "handlers": {"errors", "slips", "chat", "wire", "complaints"},
    "strict_yaml": {"errors"},
    "profiles": {"errors", "slips", "strict_yaml", "handlers"},
    "documents": {"errors"},
    "aws": {"errors", "slips", "redaction", "complaints"},
    "ask": {"errors", "chat", "handlers"},
    "qa": {"errors", "chat", "documents"},
    "local": {"errors"},
    "envelope": {"errors", "redaction", "chat"},
    "scout": {"errors", "handlers", "aws"},
    "choice": {"errors", "handlers", "aws", "scout"},
    "inventory": {"errors", "handlers", "aws", "scout"},
    "connection": {"errors", "chat", "envelope", "ask", "handlers", "profiles", "aws", "local", "scout", "choice"},
    "batch": {"errors", "chat", "ask", "profiles", "documents", "qa", "envelope", "connection"},
    "doctor": {"errors", "chat", "profiles", "handlers", "connection", "aws", "scout", "inventory"},
    "render": {"errors", "redaction", "doctor", "chat", "envelope", "ask"},
    "cli": {
        *("errors", "redaction", "chat", "handlers", "profiles", "documents", "aws", "ask", "qa", "local"),
        *("choice", "inventory", "connection", "doctor", "envelope", "batch", "render", "slips"),
    },
    "client": {
        "errors",
        "slips",
        "redaction",
        "chat",
        "ask",
        "handlers",
        "profiles",
        "documents",
        "qa",
        "connection",
        "batch",
    },
    "langchain": {"errors", "chat", "aws", "ask", "handlers", "profiles", "qa", "documents", "connection", "client"},
    "__main__": {"cli"},
    "__init__": {"chat", "client"},
}

OWNERS = {
    "boto3": "aws",
    "difflib": "slips",
    "botocore": "aws",
    "urllib3": "aws",
    "yaml": "strict_yaml",
    "rich": "render",
    "typer": "cli",
    "xllamacpp": "local",
    "jmespath": "handlers",
    "pypdf": "documents",
    "openpyxl": "documents",
    "tokenizers": "qa",
    "sqlite3": "qa",
    "langchain_core": "langchain",
    "pydantic": "langchain",
}


def room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module(file: Path) -> str:
    return ".".join(("sm_ask", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file, names of packages resolved to their modules."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


MODULES = {module(file) for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=module)
def test_imports_run_one_way(file):
    for name in imported(file):
        if name.startswith("sm_ask."):
            other = name.split(".")[1]
            assert other == room(file) or other in ROOMS[room(file)], f"{module(file)} imports {name}"


def test_the_plan_of_the_rooms_has_no_cycle():
    left = dict(ROOMS)
    while left:
        free = {name for name, needs in left.items() if not needs & left.keys()}
        assert free, f"a cycle among {sorted(left)}"
        left = {name: needs for name, needs in left.items() if name not in free}


def test_no_file_imports_itself_in_a_circle():
    graph = {module(file): {name for name in imported(file) if name in MODULES} - {module(file)} for file in FILES}
    # A package's own file gathers its parts; they may not need it in return at run time, which typing hints do not.
    graph["sm_ask.handlers"] = graph["sm_ask"] = set()
    while graph:
        free = {name for name, needs in graph.items() if not needs & graph.keys()}
        assert free, f"a cycle among {sorted(graph)}"
        graph = {name: needs for name, needs in graph.items() if name not in free}


@pytest.mark.parametrize("file", FILES, ids=module)
def test_each_library_has_one_owner(file):
    for name in imported(file):
        library = name.split(".")[0]
        assert OWNERS.get(library, room(file)) == room(file), f"{module(file)} imports {library}"


@pytest.mark.parametrize("file", FILES, ids=module)
def test_nothing_grows_too_large(file):
    """A module has at most 250 lines of code, a function at most 40."""
    text = file.read_text()
    assert len([line for line in text.splitlines() if line.strip()]) <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.body[-1].end_lineno - node.body[0].lineno < 40, node.name


def test_the_plain_path_imports_nothing_heavy(serve):
    """A streamed answer on a pipe needs no rich, langchain-core, pydantic, s3transfer or boto3."""
    server = serve(says(chat_stream("Hello")))
    program = (
        "import sys; from sm_ask.cli.app import main; code = main(sys.argv[1:]);"
        "heavy = {'rich', 'langchain_core', 'pydantic', 's3transfer', 'boto3', 'yaml'};"
        "print(code, sorted(heavy & sys.modules.keys()))"
    )
    arguments = [sys.executable, "-c", program, "prompt", "hi", "--no-stdin", *at(server)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout == "Hello\n0 []\n"


def test_a_document_that_fits_needs_no_search(serve, tmp_path):
    """A question about a small text imports neither SQLite nor any reader of documents, nor what splits and checks."""
    server = serve(says(chat_stream("Hello")))
    (tmp_path / "a.txt").write_text("Anna")
    program = (
        "import sys; from sm_ask.cli.app import main; code = main(sys.argv[1:]);"
        "late = {'sqlite3', 'pypdf', 'openpyxl', 'tokenizers', 'rich', 'boto3', 's3transfer'};"
        "late |= {f'sm_ask.qa.{name}' for name in ('index', 'splitting', 'words', 'citations', 'evidence', 'pool')};"
        "late |= {f'sm_ask.documents.{name}' for name in ('folders', 'html', 'office', 'pdf')} | {'sm_ask.aws.s3'};"
        "print(code, sorted(late & sys.modules.keys()))"
    )
    arguments = [
        sys.executable,
        "-c",
        program,
        "qa",
        "Who?",
        "--doc",
        str(tmp_path / "a.txt"),
        "--no-stdin",
        *at(server),
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout == "Hello\n0 []\n"
