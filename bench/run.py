"""Times whole commands as pairs: ours, theirs, ours, theirs …, so that a machine's changes of pace favour neither.

The ratio of each pair is what counts; its median is printed with the medians of both. Nothing here is a test.
"""

import argparse
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import batches
import searching

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
DOCUMENT = str(HERE.parent / "examples" / "hospital.txt")


def seconds(command: list[str], environ: dict[str, str]) -> float:
    """Run a command once and give its wall time; a failure ends the benchmark."""
    started = time.perf_counter()
    done = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    taken = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{command[0]} failed with {done.returncode}: {done.stderr.decode()}")
    return taken


def pair(ours: list[str], theirs: list[str], environ: dict[str, str], runs: int) -> str:
    """Time two commands in turn, after two rounds that do not count; give a row of the table."""
    rounds = [(seconds(ours, environ), seconds(theirs, environ)) for _ in range(runs + 2)][2:]
    ratio = statistics.median(our / their for our, their in rounds)
    our, their = (statistics.median(column) * 1000 for column in zip(*rounds, strict=True))
    return f"{our:.0f} ms | {their:.0f} ms | {ratio:.2f}"


def table(url: str, aws: str | None) -> dict[str, tuple[list[str], list[str]]]:
    """Give the pairs to time."""
    sm_ask = str(BIN / "sm-ask")
    at = ["--endpoint", "bench", "--region", "us-west-2", "--endpoint-url", url]
    bare = [sys.executable, str(HERE / "bare_boto3.py"), url]
    pairs = {
        "`sm-ask prompt`, bare boto3": ([sm_ask, "prompt", "hi", *at], [*bare, "hi"]),
        "`sm-ask prompt --no-stream`, bare boto3": (
            [sm_ask, "prompt", "hi", "--no-stream", *at],
            [*bare, "--whole", "hi"],
        ),
        "`sm-ask qa`, bare boto3": (
            [sm_ask, "qa", "How long?", "--doc", DOCUMENT, *at],
            [*bare, "--document", DOCUMENT, "How long?"],
        ),
        "`sm-ask --version`, bare boto3": ([sm_ask, "--version"], [*bare, "hi"]),
    }
    if aws and Path(aws).exists():
        call = ["sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "bench", "--region", "us-west-2"]
        body = ["--endpoint-url", url, "--content-type", "application/json", "--body", '{"messages": []}', os.devnull]
        pairs["`sm-ask prompt`, aws CLI"] = ([sm_ask, "prompt", "hi", *at], [aws, *call, *body])
    return pairs


@contextlib.contextmanager
def served(*program: str) -> Iterator[str]:
    """Give the address of an endpoint in a process of its own."""
    command = [sys.executable, str(HERE / program[0]), *program[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as endpoint:
        try:
            yield endpoint.stdout.readline().decode().strip()
        finally:
            endpoint.terminate()


def main() -> None:
    """Start the endpoint, time every pair against it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--aws", help="the aws CLI")
    parser.add_argument("--langchain", help="a Python that has langchain-community and rank_bm25")
    options = parser.parse_args()
    print(f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {os.cpu_count()} processors\n")
    print("| ours, theirs | ours | theirs | ratio |\n|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as home:
        keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "HOME": home}
        environ = {"PATH": os.environ["PATH"], **keys}
        with served("endpoint.py") as url:
            for name, (ours, theirs) in table(url, options.aws).items():
                print(f"| {name} | {pair(ours, theirs, environ, options.runs)} |", flush=True)
        print(f"\n{batches.HEADER}\n|---|--:|--:|--:|--:|--:|--:|--:|")
        with served("patient_endpoint.py", str(batches.LATENCY)) as url:
            for row in batches.rows(url, home, environ, max(1, options.runs // 4)):
                print(row, flush=True)
        print(f"\n{searching.HEADER}\n|---|--:|--:|")
        with served("patient_endpoint.py", str(searching.LATENCY)) as patient, served("endpoint.py") as url:
            os.environ.update(keys)
            for row in searching.rows(patient, url, options.langchain, home, environ):
                print(row, flush=True)
    import decoding  # LangChain takes a second

    for row in decoding.rows():
        print(f"| {row} |", flush=True)


if __name__ == "__main__":
    main()
