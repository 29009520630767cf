"""Takes seeds and command lines on stdin; runs each again and again, and kills it each time but the last.

Tells on stdout how often it was killed. A child is forked for each run from a process that has everything loaded, so
that a run takes little but its own time.
"""

import json
import os
import random
import signal
import sys
import time

import botocore.session  # noqa: F401 - loaded once for all

import sm_ask.aws.runtime
import sm_ask.cli.batch  # noqa: F401 - likewise
from sm_ask.cli.app import main

KILLS = 3


def run(arguments: list[str]) -> int:
    """Start the command line in a child of its own; give its number."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main(arguments))
    return child


def kill(child: int, seconds: float) -> bool:
    """Kill the child after that time; tell whether it was still there."""
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) < 0


def suffer(seed: int, arguments: list[str]) -> int:
    """Kill the command line at random moments, then let it come to its end; tell how often it was killed."""
    chance = random.Random(seed)
    killed = sum(kill(run(arguments), chance.uniform(0.1, 0.3)) for _ in range(KILLS))
    code = os.waitstatus_to_exitcode(os.waitpid(run(arguments), 0)[1])
    return killed if code == 0 else -1


if __name__ == "__main__":
    for line in sys.stdin:
        print(suffer(*json.loads(line)), flush=True)
