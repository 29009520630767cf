"""Measures `sm-ask qa`: whether the search finds what answers a question, and how fast documents are read.

The questions are those of the tests; their handbook stands among this project's own texts. LangChain's BM25Retriever
searches the same passages, in an environment of its own.
"""

import json
import math
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sm_ask import connection, documents, qa
from sm_ask.documents import Document
from sm_ask.documents.folders import Globs, walk
from sm_ask.profiles import Profile
from sm_ask.qa.tokens import estimate

HERE = Path(__file__).parent
DATA = HERE.parent / "tests" / "data"
LATENCY = 0.1
HEADER = "| documents | ours | theirs or ideal |"
_FIRST = 5
_PARTS, _WORKERS = 50, 8
_MEGABYTES = 100


def rows(patient: str, url: str, langchain: str | None, folder: str, environ: dict[str, str]) -> Iterator[str]:
    """Yield the rows of the table."""
    passages = list(_library().passages())
    hits = f"`qa` finds the answer among the first {_FIRST} of {len(passages):,} passages, LangChain's BM25Retriever"
    theirs = f"{_theirs(passages, langchain):.3f}" if langchain and Path(langchain).exists() else "not installed"
    yield f"| {hits} | {_recall(_ours()):.3f} | {theirs} |"
    ideal = (math.ceil(_PARTS / _WORKERS) + 1) * LATENCY
    taken = statistics.median(_map_reduce(patient) for _ in range(3))
    ratio = f"{ideal:.2f} s ({taken / ideal:.2f})"
    yield f"| map-reduce over {_PARTS} parts, {_WORKERS} at once, 100 ms each | {taken:.2f} s | {ratio} |"
    seconds, megabytes = _large(url, Path(folder), environ)
    yield f"| {_MEGABYTES} MB of text read, indexed and asked about | {seconds:.0f} s, {megabytes:.0f} MB of memory | |"


def _library() -> qa.Library:
    places = ((DATA / "handbook", "*.md"), (HERE.parent, "/*.md"), (HERE.parent / "sm_ask", "*.py"))
    found = [path for folder, glob in places for path in walk(str(folder), Globs([glob]), print)]
    return qa.Library(document for path in found for document in documents.read(path))


def _questions() -> list[list[str]]:
    return [line.split("\t") for line in (DATA / "questions.tsv").read_text().splitlines()]


def _ours() -> list[list[tuple[str, str]]]:
    library = _library()
    found = [library.search(question, _FIRST) for question, _, _ in _questions()]
    return [[(passage.path, passage.text) for passage in passages] for passages in found]


def _theirs(passages: list[qa.Passage], python: str) -> float:
    asked = {
        "passages": [[passage.path, f"{passage.title}\n{passage.text}"] for passage in passages],
        "questions": [question for question, _, _ in _questions()],
        "first": _FIRST,
    }
    command = [python, str(HERE / "peer_bm25.py")]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
    return _recall(json.loads(done.stdout))


def _recall(found: list[Any]) -> float:
    asked = _questions()
    hits = [
        any(path.endswith(f"/{name}") and needle in text for path, text in each)
        for each, (_, name, needle) in zip(found, asked, strict=True)
    ]
    return sum(hits) / len(hits)


def _map_reduce(url: str) -> float:
    sentence = "The mill at the river burned down in that year, and nobody has built it up again. "
    text = sentence * (4000 // estimate(sentence))
    library = qa.Library(Document(f"{number}.txt", text) for number in range(_PARTS))
    profile = Profile("bench", endpoint="bench", region="us-west-2", endpoint_url=url, handler="openai-chat")
    settings = qa.Settings(chain="map-reduce", context_window=8192, workers=_WORKERS)
    library.read()
    with connection.connect(connection.Setup(profile, connections=_WORKERS), tell=print) as endpoint:
        qa.answer("When did the mill burn?", qa.Library([Document("a", sentence)]), settings, endpoint.answer)
        started = time.perf_counter()
        found = qa.answer("When did the mill burn?", library, settings, endpoint.answer)
        taken = time.perf_counter() - started
    if found.calls != _PARTS + 1:
        sys.exit(f"map-reduce made {found.calls} calls")
    return taken


def _large(url: str, folder: Path, environ: dict[str, str]) -> tuple[float, float]:
    """Ask about one large file; give the seconds that it took, and the megabytes of memory."""
    handbook = "\n\n".join(path.read_text() for path in sorted((DATA / "handbook").glob("*.md")))
    words = re.split(r"(?<= )", handbook)
    with (folder / "large.txt").open("w") as file:
        size, turn = 0, 0
        while size < _MEGABYTES * 1_000_000:
            # Turned a little further each time, so that no two passages are the same.
            turn = (turn + 37) % len(words)
            size += file.write("".join([f"{size} ", *words[turn:], *words[:turn], "\n\n"]))
        file.write((HERE.parent / "examples" / "hospital.txt").read_text())
    command = [str(Path(sys.executable).parent / "sm-ask"), "qa", "How long was Elizabeth hospitalized?", "--no-stdin"]
    command += ["--doc", str(folder / "large.txt"), "-e", "bench", "--region", "us-west-2", "--endpoint-url", url]
    started = time.perf_counter()
    subprocess.run(command, env=environ, capture_output=True, check=True)
    # Linux counts kilobytes, and of all children so far the largest.
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
