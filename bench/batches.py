"""Times `sm-ask batch` and a pool of threads around bare boto3 in turn, on an endpoint that takes 100 ms to answer.

Each command runs over few rows and over many; the difference is what the rows take, without the start.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
LATENCY = 0.1
HEADER = "| rows at once, kind of answer | ours | theirs | ratio | of ideal | CPU per row: ours | theirs | ratio |"
_MANY = 60


class Cost(NamedTuple):
    """Seconds on the clock and of the processor."""

    wall: float
    cpu: float


def rows(url: str, folder: str, environ: dict[str, str], rounds: int) -> Iterator[str]:
    """Yield the rows of the table."""
    for whole in (True, False):
        for workers in (16, 64):
            yield Bench(url, folder, environ, workers, whole).row(rounds)


class Bench(NamedTuple):
    """One way to ask, for both."""

    url: str
    folder: str
    environ: dict[str, str]
    workers: int
    whole: bool

    def row(self, rounds: int) -> str:
        """Time both in turn, after a round that does not count."""
        pairs = [(self.cost(self.ours()), self.cost(self.theirs())) for _ in range(rounds + 1)][1:]
        speed = statistics.median(their.wall / our.wall for our, their in pairs)
        effort = statistics.median(our.cpu / their.cpu for our, their in pairs)
        our, their = (statistics.median(1 / cost.wall for cost in side) for side in zip(*pairs, strict=True))
        our_cpu, their_cpu = (statistics.median(cost.cpu * 1000 for cost in side) for side in zip(*pairs, strict=True))
        kind, ideal = "whole" if self.whole else "streamed", self.workers / LATENCY
        return (
            f"| {self.workers}, {kind} | {our:.0f}/s | {their:.0f}/s | {speed:.2f} | {our / ideal:.2f} "
            f"| {our_cpu:.2f} ms | {their_cpu:.2f} ms | {effort:.2f} |"
        )

    def cost(self, command: list[str]) -> Cost:
        """Give what one row costs."""
        few, many = self.workers, self.workers * _MANY
        small, large = self.run(command, few), self.run(command, many)
        return Cost((large.wall - small.wall) / (many - few), (large.cpu - small.cpu) / (many - few))

    def run(self, command: list[str], count: int) -> Cost:
        """Run a command over so many rows."""
        source, output = os.path.join(self.folder, "in.jsonl"), os.path.join(self.folder, "out.jsonl")
        with open(source, "w", encoding="utf-8") as file:
            file.writelines(json.dumps({"id": f"q{n}", "prompt": f"Question {n}?"}) + "\n" for n in range(count))
        Path(output).unlink(missing_ok=True)
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(command, env=self.environ, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            sys.exit(f"{command[0]} failed with {done.returncode}: {done.stderr.decode()}")
        return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def ours(self) -> list[str]:
        """Give our command."""
        to = ["-e", "bench", "--region", "us-west-2", "--endpoint-url", self.url, "--handler", "openai-chat"]
        how = ["--concurrency", str(self.workers), "--no-stream" if self.whole else "--stream"]
        files = [os.path.join(self.folder, "in.jsonl"), "-O", os.path.join(self.folder, "out.jsonl")]
        return [str(Path(sys.executable).with_name("sm-ask")), "batch", *files, *how, *to]

    def theirs(self) -> list[str]:
        """Give the peer's."""
        files = [os.path.join(self.folder, "in.jsonl"), os.path.join(self.folder, "out.jsonl")]
        script = [sys.executable, str(HERE / "bare_pool.py"), self.url, str(self.workers), *files]
        return [*script, "--whole"] if self.whole else script
