"""The README's programs, run as they stand there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from langchain_core.tools import tool
from pydantic import BaseModel

from server import chat_stream, chat_whole

README = Path(__file__).parent.parent / "README.md"
#: A program has more than one line; what tools print and config files hold is in blocks of other kinds.
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)


class Joke(BaseModel):
    """A joke."""

    setup: str
    punchline: str


@tool
def search(text: str) -> str:
    """Search."""
    return text


@pytest.mark.parametrize("program", [text for text in PROGRAMS if "sm_ask" in text and "import" in text])
def test_a_program_of_the_readme_runs(program, serve, tmp_path, monkeypatch):
    text = json.dumps({"setup": "a", "punchline": "b"})

    def answer(conversation):
        streamed = server.requests[-1].path.endswith("-response-stream")
        conversation.send(chat_stream(text) if streamed else chat_whole(text))

    server = serve(answer)
    (tmp_path / "runbook.md").write_text("Run rotate-keys.")
    (tmp_path / "profiles.yaml").write_text(
        f"profiles: {{llama: {{endpoint: llama-3-8b-prod, region: us-west-2, endpoint_url: '{server.url}'}}}}"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SM_ASK_CONFIG", str(tmp_path / "profiles.yaml"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", server.url)
    exec(program, {"Joke": Joke, "search": search})
    assert server.requests
