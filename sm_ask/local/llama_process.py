"""The program of the process that llama.cpp runs in; it is started by path, and imports nothing of this package.

One line of JSON on stdin says what to load, one on stdout where it listens or why not. It ends with its stdin, so it
cannot outlive the process that started it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    """Load the model, say where it listens, and stay until stdin ends."""
    # Started by path, Python looks for modules in this folder first.
    del sys.path[0]
    settings = json.loads(sys.stdin.buffer.readline())
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Whatever llama.cpp prints, it prints it nowhere.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        server = _load(settings)
    except (ImportError, RuntimeError) as error:
        print(json.dumps({"error": str(error)}), file=answers, flush=True)
    else:
        print(json.dumps({"url": server.listening_address}), file=answers, flush=True)
        sys.stdin.buffer.read()
    # Taking the server apart waits for running answers, up to half a minute each.
    os._exit(0)


def _load(settings: dict[str, Any]) -> Any:  # noqa: ANN401 - the bindings have no types
    import xllamacpp  # an optional extra

    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.model_alias = {settings["name"]}
    params.n_ctx = settings["context"]
    # Between batches it notices that an answer is not wanted any more.
    params.n_batch = 128
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    # It always opens a port: loopback, its default, and nobody without the key.
    params.api_keys = [settings["key"]]
    params.fit_params = False
    params.warmup = False
    params.cache_ram_mib = 0
    params.verbosity = -1
    for page in ("ui", "webui"):
        if hasattr(params, page):
            setattr(params, page, False)
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
