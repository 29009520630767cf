"""The notebook that sm-ask grew out of: its cells, and the bodies that langchain-community's own class sends."""

from __future__ import annotations

import ast
import hashlib
import json
import runpy
import sys
from pathlib import Path

import boto3
import pytest

from cloud import Cloud
from langchain_scenarios import ANSWER, scenarios
from server import says, whole
from sm_ask.langchain import LLMContentHandler, SagemakerEndpoint, load_qa_chain

EXAMPLES = Path(__file__).parent.parent / "examples"
RECORDED = json.loads(Path(__file__).with_name("recorded_by_langchain.json").read_text())
#: Each cell as LangChain's documentation has it, with those before it that it needs.
CELLS = {
    "notebook_session.py": "a8f53808ab3c90dce185336a68c570eff9bbc2c7862f9ad54f62b1feb9ac5bd6",
    "notebook_profile.py": "daa27aca044269cb9bf086b0a0c38008876950eaf694331138c82046162c28c6",
}
IMPORTS = {
    "load_qa_chain": "langchain.chains.question_answering",
    "SagemakerEndpoint": "langchain_aws.llms",
    "LLMContentHandler": "langchain_aws.llms.sagemaker_endpoint",
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_request_is_the_same_to_the_byte(serve, name):
    server = serve(says(whole(ANSWER)))
    client = boto3.client("sagemaker-runtime", region_name="us-west-2", endpoint_url=server.url)
    scenarios(SagemakerEndpoint, LLMContentHandler, load_qa_chain, client)[name]()
    sent = [
        {
            "path": request.path,
            "headers": {
                key: value
                for key, value in request.headers.items()
                if key in ("accept", "content-type") or key.startswith("x-amzn-sagemaker-")
            },
            "body": request.body.decode(),
        }
        for request in server.requests
    ]
    assert sent == RECORDED[name]


def test_every_scenario_is_recorded():
    assert RECORDED.keys() == scenarios(SagemakerEndpoint, LLMContentHandler, load_qa_chain, None).keys()


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_differs_in_three_imports_alone(name):
    text = (EXAMPLES / name).read_text()
    for imported, home in IMPORTS.items():
        line = f"from sm_ask.langchain import {imported}\n"
        assert text.count(line) == 1
        text = text.replace(line, f"from {home} import {imported}\n")
    assert hashlib.sha256(text.encode()).hexdigest() == CELLS[name]


@pytest.fixture
def cloud():
    found = Cloud()
    found.answers["invoke"] = lambda _: whole(ANSWER)
    yield found
    found.close()


@pytest.mark.parametrize(("name", "key"), [("notebook_session.py", "ASIAHOP1"), ("notebook_profile.py", "AKIAPROFILE")])
def test_a_cell_runs(cloud, name, key, tmp_path, monkeypatch, capsys):
    credentials = tmp_path / "credentials"
    credentials.write_text(
        "[credentials-profile-name]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    # boto3 keeps a session of its own, which another test may have opened.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(sys, "argv", ["as_notebook.py", str(EXAMPLES / name)])
    runpy.run_path(str(EXAMPLES / "as_notebook.py"))
    assert ast.literal_eval(capsys.readouterr().out) == {"output_text": "Three days."}
    assert cloud.keys() == [key]
    [request] = cloud.calls("invoke")
    assert request.path == "/endpoints/endpoint-name/invocations"
    assert request.json["inputs"].endswith("\n\nQuestion: How long was Elizabeth hospitalized?\n\nAnswer:")
