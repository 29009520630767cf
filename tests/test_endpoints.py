"""`sm-ask endpoints`: the list, one in detail, and what is left where not everything may be seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from cloud import IMAGE, Cloud
from conftest import SM_ASK, Result
from server import Recorded, whole
from terminal import on_terminal

TO = ["--region", "us-west-2"]
ARN = "arn:aws:sagemaker:us-west-2:111111111111:"
TGI = "1.dkr.ecr.us-west-2.amazonaws.com/huggingface-pytorch-tgi-inference:2.1.1-tgi1.4.0-gpu"
KEYS = [
    *("name", "arn", "status", "failure", "kind", "instance", "models", "image", "family", "handler", "candidates"),
    *("reason", "context_window", "created", "modified", "variants", "inference_components", "unseen"),
]
#: name: (its config, its model's container, what DescribeEndpoint says besides)
ENDPOINTS = {
    "chat": ({"InstanceType": "ml.g5.xlarge"}, {"Image": IMAGE, "Environment": {"SM_VLLM_MAX_MODEL_LEN": "8192"}}, {}),
    "cheap": ({"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1}}, {"Image": TGI}, {}),
    "slow": ({"InstanceType": "ml.g5.xlarge"}, {"Image": TGI}, {"AsyncInferenceConfig": {"OutputConfig": {}}}),
    "ours": ({"InstanceType": "ml.m5.large"}, {"Image": "x/ours:1"}, {}),
    "broken": ({"InstanceType": "ml.m5.large"}, {"Image": IMAGE}, {"EndpointStatus": "Failed", "FailureReason": "no"}),
}


def variant(name: str) -> dict[str, object]:
    return {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": 2, **ENDPOINTS[name][0]}


def account(request: Recorded) -> bytes:
    """The control plane of an account with those endpoints, and one of inference components."""
    name = request.headers["x-amz-target"].partition(".")[2]
    asked = request.json
    return whole(globals()[f"answer_{name}"](**asked), Content_Type="application/x-amz-json-1.1")


def answer_ListEndpoints(NextToken: str = "", **_: object):  # noqa: N802, N803 - the API's names
    """Two pages."""
    names = [*ENDPOINTS, "many"]
    page = names[3:] if NextToken else names[:3]
    listed = [{"EndpointName": n, "EndpointArn": f"{ARN}endpoint/{n}", "EndpointStatus": "InService"} for n in page]
    return {"Endpoints": listed, **({} if NextToken else {"NextToken": "more"})}


def answer_DescribeEndpoint(EndpointName: str):  # noqa: N802, N803
    known = {"EndpointName": EndpointName, "EndpointArn": f"{ARN}endpoint/{EndpointName}", "CreationTime": 1.8e9}
    variants = [{"VariantName": "AllTraffic", "CurrentInstanceCount": 2, "CurrentWeight": 1.0}]
    more = {"EndpointConfigName": EndpointName, "EndpointStatus": "InService", "ProductionVariants": variants}
    return {**known, **more, **ENDPOINTS.get(EndpointName, ({}, {}, {}))[2]}


def answer_DescribeEndpointConfig(EndpointConfigName: str):  # noqa: N802, N803
    if EndpointConfigName == "many":
        return {"ProductionVariants": [{"VariantName": "AllTraffic", "InstanceType": "ml.g5.12xlarge"}]}
    return {"ProductionVariants": [variant(EndpointConfigName)]}


def answer_DescribeModel(ModelName: str):  # noqa: N802, N803
    return {"ModelName": ModelName, "PrimaryContainer": ENDPOINTS[ModelName][1]}


def answer_ListInferenceComponents(EndpointNameEquals: str, **_: object):  # noqa: N802, N803
    names = ["llama", "mine"] if EndpointNameEquals == "many" else []
    return {
        "InferenceComponents": [{"InferenceComponentName": n, "InferenceComponentStatus": "InService"} for n in names]
    }


def answer_DescribeInferenceComponent(InferenceComponentName: str):  # noqa: N802, N803
    container = {"Container": {"DeployedImage": {"SpecifiedImage": IMAGE}, "Environment": {}}}
    known = {"llama": container, "mine": {"BaseInferenceComponentName": "llama"}}[InferenceComponentName]
    arn = f"{ARN}inference-component/{InferenceComponentName}"
    names = {"InferenceComponentName": InferenceComponentName, "InferenceComponentArn": arn}
    return {**names, "Specification": known, "RuntimeConfig": {"CurrentCopyCount": 1}}


def answer_ListTags(**_: object):  # noqa: N802
    return {"Tags": []}


CALLS = [name.removeprefix("answer_") for name in list(globals()) if name.startswith("answer_")]


@pytest.fixture
def cloud(monkeypatch) -> Iterator[Cloud]:
    found = Cloud()
    found.answers = dict.fromkeys(CALLS, account)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", found.url)
    yield found
    found.close()


@pytest.fixture
def shown(cli, cloud) -> Callable[..., Result]:
    """Run the command, and give the result without the line that names the address."""

    def run(*arguments: str) -> Result:
        cloud.requests.clear()
        done = cli("endpoints", *TO, *arguments)
        return Result(
            done.code, done.out, "".join(line for line in done.err.splitlines(True) if "spoken to" not in line)
        )

    return run


def denies(cloud: Cloud, name: str) -> None:
    message = f"User: me is not authorized to perform: sagemaker:{name}"
    cloud.answers[name] = lambda _: whole({"__type": "AccessDeniedException", "message": message}, 400)


def test_the_list(shown):
    done = shown("-e", "chat")
    rows = [line.split("\t") for line in done.text.splitlines()]
    assert (done.code, done.err) == (0, "")
    assert rows == [
        ["chat *", "InService", "real-time", "ml.g5.xlarge", "chat", "vllm", "openai-chat"],
        ["cheap", "InService", "serverless", "-", "cheap", "tgi", "tgi"],
        ["slow", "InService", "async", "ml.g5.xlarge", "slow", "tgi", "tgi"],
        ["ours", "InService", "real-time", "ml.m5.large", "ours", "custom", "-"],
        ["broken", "Failed", "real-time", "ml.m5.large", "broken", "vllm", "openai-chat"],
        ["many", "InService", "real-time", "ml.g5.12xlarge", "2 components", "vllm", "openai-chat"],
    ]


def test_the_list_as_json(shown):
    rows = json.loads(shown("--json").text)
    assert [row["name"] for row in rows] == [*ENDPOINTS, "many"]
    assert all(list(row) == KEYS for row in rows)


def test_one(shown):
    known = json.loads(shown("chat", "--json").text)
    assert list(known) == KEYS
    assert (known["handler"], known["candidates"], known["context_window"]) == (
        "openai-chat",
        ["openai-chat", "openai-completions"],
        8192,
    )
    assert known["reason"] == "the image vllm:v0.10.2: vLLM"
    assert known["created"].startswith("2027-01-15T")
    [part] = known["variants"]
    assert (part["name"], part["instance"], part["count"], part["handler"]) == (
        "AllTraffic",
        "ml.g5.xlarge",
        2,
        "openai-chat",
    )


def test_one_as_text(shown):
    lines = shown("chat").text.splitlines()
    assert "kind: real-time" in lines
    assert "reason: the image vllm:v0.10.2: vLLM" in lines
    assert f"variant AllTraffic: 2 x ml.g5.xlarge, model chat, {IMAGE}, handler openai-chat" in lines


def test_inference_components(shown):
    known = json.loads(shown("many", "--json").text)
    assert [part["name"] for part in known["inference_components"]] == ["llama", "mine"]
    assert [part["handler"] for part in known["inference_components"]] == ["openai-chat"] * 2
    assert f"component mine: InService, copies 1, {IMAGE}, handler openai-chat" in shown("many").text.splitlines()


def test_an_image_of_no_known_family(shown):
    known = json.loads(shown("ours", "--json").text)
    assert (known["handler"], known["candidates"]) == (None, ["openai-chat", "tgi", "lmi", "huggingface"])
    assert "candidates: openai-chat, tgi, lmi, huggingface" in shown("ours").text.splitlines()


def test_why_one_failed(shown):
    assert "failure: no" in shown("broken").text.splitlines()


@pytest.mark.parametrize(
    ("denied", "handler"),
    [("DescribeModel", None), ("DescribeEndpointConfig", None), ("ListTags", "openai-chat")],
)
def test_what_may_not_be_seen_is_left_out(shown, cloud, denied, handler):
    denies(cloud, denied)
    done = shown("chat", "--json")
    known = json.loads(done.text)
    assert (done.code, known["handler"], list(known)) == (0, handler, KEYS)
    assert (f"sagemaker:{denied}" in done.err) == bool(known["unseen"]) == (handler is None)


def test_a_list_alone(shown, cloud):
    """Each thing that may not be seen is said once."""
    denies(cloud, "DescribeEndpoint")
    done = shown()
    assert (done.code, len(done.text.splitlines())) == (0, len(ENDPOINTS) + 1)
    assert done.text.splitlines()[0] == "chat\tInService\t-\t-\t-\tunknown\t-"
    assert len(done.err.splitlines()) == 1
    assert all(list(row) == KEYS for row in json.loads(shown("--json").text))


@pytest.mark.parametrize(("arguments", "denied"), [([], "ListEndpoints"), (["chat"], "DescribeEndpoint")])
def test_nothing_at_all(shown, cloud, arguments, denied):
    denies(cloud, denied)
    done = shown(*arguments)
    assert (done.code, done.out) == (5, b"")
    assert f"hint: the identity needs sagemaker:{denied}\n" in done.err


def test_one_that_is_not_there(shown, cloud):
    said = {"__type": "ValidationException", "message": f'Could not find endpoint "{ARN}endpoint/chat".'}
    cloud.answers["DescribeEndpoint"] = lambda _: whole(said, 400)
    done = shown("chat")
    assert (done.code, done.out) == (5, b"")
    assert "`sm-ask endpoints` lists" in done.err


def test_no_endpoints(shown, cloud):
    cloud.answers["ListEndpoints"] = lambda _: whole({"Endpoints": []})
    assert (shown().code, shown().out, shown("--json").text) == (0, b"", "[]\n")


def test_the_endpoint_on_this_machine(shown, cloud):
    done = shown("-p", "local")
    assert (done.code, cloud.requests) == (3, [])
    assert "openai-chat" in done.err


def test_names_cannot_drive_the_terminal(shown, cloud):
    evil = "a\x1b]0;x\x07\x9b"
    cloud.answers["DescribeModel"] = lambda _: whole({"PrimaryContainer": {"Image": f"x/vllm:{evil}"}})
    done = shown("chat")
    assert done.code == 0
    assert not {"\x1b", "\x07", "\x9b"} & set(done.text)


@pytest.mark.usefixtures("cloud")
def test_a_name_is_whole_on_a_narrow_terminal():
    """However it is folded, it is all there to copy."""
    shown = on_terminal(SM_ASK, "endpoints", *TO, columns=70)
    flat = "".join(shown.text.split())
    assert (shown.code, "…" in flat) == (0, False)
    assert "ml.g5" in flat
