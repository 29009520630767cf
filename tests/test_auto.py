"""A content handler that nobody names: found out, kept for a day, put right, or assumed where nothing can be seen."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from moto.server import ThreadedMotoServer

from cloud import IMAGE, ROLE, Cloud, described
from conftest import Result
from server import Recorded, chat_event, chat_stream, chat_whole, failing, says, streamed, tgi_event, tgi_parts, whole
from sm_ask.chat import Message, Request
from sm_ask.connection import Setup, connect
from sm_ask.errors import ModelError, SchemaError
from sm_ask.profiles import Profile

TO = ["--region", "us-west-2", "-e", "ep"]
TGI = "763104351884.dkr.ecr.us-west-2.amazonaws.com/huggingface-pytorch-tgi-inference:2.1.1-tgi1.4.0-gpu-py310"
DESCRIBES = ["DescribeEndpoint", "DescribeEndpointConfig", "DescribeModel"]
VLLM_REFUSES = '{"error":{"message":"Cannot find suitable handler for request","type":"BadRequestError","code":400}}'
TGI_REFUSES = "Failed to deserialize the JSON body into the target type: missing field `inputs` at line 1 column 80"


@pytest.fixture
def cloud(monkeypatch) -> Iterator[Cloud]:
    """Runtime and control plane at one address, which stderr names."""
    found = Cloud()
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
    yield found
    found.close()


@pytest.fixture
def asks(cli, cloud) -> Callable[..., Result]:
    """Ask, and give the result without the line that names the address."""

    def run(*arguments: str) -> Result:
        cloud.requests.clear()
        done = cli("prompt", "hi", *TO, *arguments)
        return Result(
            done.code, done.out, "".join(line for line in done.err.splitlines(True) if "spoken to" not in line)
        )

    return run


@pytest.fixture
def entries() -> Path:
    return Path(os.environ["HOME"]) / ".cache" / "sm-ask" / "endpoints"


def calls(cloud: Cloud) -> list[str]:
    """What was asked of the control plane, in order."""
    return [name for request in cloud.requests if (name := request.headers.get("x-amz-target", "").partition(".")[2])]


def bodies(cloud: Cloud) -> list[str]:
    """What each question to the model looked like: the field with the prompt."""
    kinds = ("messages", "inputs", "prompt", "text_inputs")
    return [next(kind for kind in kinds if kind in call.json) for call in cloud.calls("invoke")]


def runs(cloud: Cloud, image: str | None, environment: dict[str, str] | None = None, **more: Any) -> None:
    """Have the endpoint run that image."""
    container = {"Image": image, "Environment": environment or {}, **more}
    says_of(cloud, "DescribeModel", PrimaryContainer={name: value for name, value in container.items() if value})


def says_of(cloud: Cloud, name: str, **known: Any) -> None:
    cloud.answers[name] = lambda request: described(name, json.loads(request.body), **known)


def denies(cloud: Cloud, *names: str) -> None:
    for name in names:
        cloud.answers[name] = lambda _, name=name: error(
            "AccessDeniedException", f"User: me is not authorized to perform: sagemaker:{name}"
        )


def error(code: str, message: str, status: int = 400) -> bytes:
    """An error of the control plane."""
    return whole({"__type": code, "message": message}, status, Content_Type="application/x-amz-json-1.1")


def vllm(request: Recorded) -> bytes:
    """A container that knows OpenAI's format alone."""
    return chat_stream("Hello") if "messages" in request.json else refusal(VLLM_REFUSES)


def tgi(request: Recorded) -> bytes:
    """A container that knows TGI's format alone."""
    return streamed(tgi_parts("Hello")) if "inputs" in request.json else refusal(TGI_REFUSES, 422)


def refusal(message: str, status: int = 400) -> bytes:
    members = {"OriginalStatusCode": status, "OriginalMessage": message}
    return whole({"Message": "Received client error", **members}, 424, x_amzn_ErrorType="ModelError")


class TestFindingOut:
    def test_a_copy_of_a_public_image_in_an_account_of_ones_own(self, asks, cloud):
        done = asks("--json")
        assert (done.code, done.err) == (0, "")
        assert json.loads(done.out)["handler"] == "openai-chat"
        assert calls(cloud) == DESCRIBES
        assert bodies(cloud) == ["messages"]

    def test_another_family(self, asks, cloud):
        runs(cloud, TGI)
        cloud.answers["invoke"] = tgi
        assert json.loads(asks("--json").out)["handler"] == "tgi"
        assert bodies(cloud) == ["inputs"]

    def test_the_environment_counts(self, asks, cloud):
        runs(cloud, TGI, {"MESSAGES_API_ENABLED": "true"})
        assert json.loads(asks("--json").out)["handler"] == "openai-chat"

    def test_a_named_handler_is_not_looked_for(self, asks, cloud):
        asks("--handler", "openai-chat")
        assert calls(cloud) == []
        asks("--handler", "auto")
        assert calls(cloud) == DESCRIBES

    def test_the_image_alone_will_do(self, asks, cloud):
        """Without permission for the model, the endpoint's own description has it."""
        denies(cloud, "DescribeModel")
        assert (asks().err, calls(cloud)) == ("", DESCRIBES)
        denies(cloud, "DescribeEndpointConfig")
        assert asks("--no-cache").err == ""
        assert calls(cloud) == DESCRIBES[:2]

    def test_an_inference_component(self, asks, cloud):
        container = {"DeployedImage": {"SpecifiedImage": TGI}, "Environment": {"MAX_TOTAL_TOKENS": "2048"}}
        component(cloud, llama={"Container": container})
        cloud.answers["invoke"] = tgi
        done = asks("--inference-component", "llama", "--json")
        assert json.loads(done.out)["handler"] == "tgi"
        assert calls(cloud) == ["DescribeInferenceComponent"]

    def test_an_adapter_speaks_as_its_base(self, asks, cloud):
        component(cloud, llama={"ModelName": "m"}, mine={"BaseInferenceComponentName": "llama"})
        runs(cloud, TGI)
        cloud.answers["invoke"] = tgi
        assert asks("--inference-component", "mine").code == 0
        assert calls(cloud) == ["DescribeInferenceComponent", "DescribeInferenceComponent", "DescribeModel"]

    def test_components_of_which_none_is_named(self, asks, cloud):
        says_of(cloud, "DescribeEndpoint", ProductionVariants=[{"VariantName": "AllTraffic"}])
        says_of(cloud, "DescribeEndpointConfig", ProductionVariants=[{"VariantName": "AllTraffic"}])
        listed = [{"InferenceComponentName": name} for name in ("llama", "mistral")]
        says_of(cloud, "ListInferenceComponents", InferenceComponents=listed)
        done = asks()
        assert (done.code, bodies(cloud)) == (3, [])
        assert "hint: --inference-component names one: llama, mistral\n" in done.err

    @pytest.mark.parametrize(("variant", "handler"), [("one", "tgi"), ("two", "openai-chat")])
    def test_a_variant(self, asks, cloud, variant, handler):
        two_variants(cloud)
        cloud.answers["invoke"] = tgi if handler == "tgi" else vllm
        assert json.loads(asks("--target-variant", variant, "--json").out)["handler"] == handler
        assert calls(cloud) == DESCRIBES

    def test_a_variant_that_is_not_there(self, asks, cloud):
        two_variants(cloud)
        done = asks("--target-variant", "three")
        assert (done.code, bodies(cloud)) == (5, [])
        assert "hint: --target-variant names one of: one, two\n" in done.err

    def test_variants_that_differ(self, asks, cloud):
        two_variants(cloud)
        done = asks()
        assert (done.code, bodies(cloud)) == (3, [])
        assert "its variants differ: tgi, openai-chat" in done.err
        assert "--handler: tgi, openai-chat, openai-completions" in done.err

    def test_a_container_of_several(self, asks, cloud):
        several = [{"ContainerHostname": "a", "Image": TGI}, {"ContainerHostname": "b", "Image": IMAGE}]
        says_of(cloud, "DescribeModel", Containers=several, PrimaryContainer=None)
        assert asks("--target-container", "b", "--no-stream").code in {0, 11}
        assert bodies(cloud) == ["messages"]
        assert asks().code == 3

    @pytest.mark.parametrize(
        ("model", "field"),
        [("huggingface-text2text-flan-t5-xl", "text_inputs"), ("huggingface-textgeneration1-gpt-j", "text_inputs")],
    )
    def test_an_old_jumpstart_model_in_an_image_of_any_model(self, asks, cloud, model, field):
        runs(cloud, "x/pytorch-inference:1.12-gpu")
        says_of(cloud, "ListTags", Tags=[{"Key": "sagemaker-sdk:jumpstart-model-id", "Value": model}])
        asks()
        assert calls(cloud) == [*DESCRIBES, "ListTags"]
        assert bodies(cloud) == [field]

    def test_a_licence_is_not_accepted_by_itself(self, asks, cloud):
        runs(cloud, "x/pytorch-inference:1.12-gpu")
        model = "meta-textgeneration-llama-2-7b-f"
        says_of(cloud, "ListTags", Tags=[{"Key": "sagemaker-sdk:jumpstart-model-id", "Value": model}])
        done = asks()
        assert (done.code, bodies(cloud)) == (3, [])
        assert "--handler: jumpstart-llama2" in done.err


class TestNoPresetFits:
    def test_an_unknown_image(self, asks, cloud, entries):
        runs(cloud, "x/our-own-thing:7")
        denies(cloud, "ListTags")
        done = asks()
        assert (done.code, done.out, bodies(cloud)) == (3, b"", [])
        assert "the image our-own-thing is of no known family" in done.err
        assert "hint: name one that may fit with --handler: openai-chat, tgi, lmi, huggingface\n" in done.err
        assert not entries.exists()

    @pytest.mark.parametrize(
        ("name", "first"), [("cohere-command-r", "cohere"), ("ai21-jamba", "ai21"), ("x", "openai")]
    )
    def test_a_package_of_the_marketplace(self, asks, cloud, name, first):
        runs(cloud, None, ModelPackageName=f"arn:aws:sagemaker:us-west-2:865070037744:model-package/{name}")
        denies(cloud, "DescribeModelPackage", "ListTags")
        done = asks()
        assert (done.code, bodies(cloud)) == (3, [])
        assert f"--handler: {first}" in done.err

    def test_a_package_whose_image_can_be_seen(self, asks, cloud):
        runs(cloud, None, ModelPackageName="arn:aws:sagemaker:us-west-2:111111111111:model-package/ours/3")
        says_of(cloud, "DescribeModelPackage", InferenceSpecification={"Containers": [{"Image": IMAGE}]})
        assert asks().code == 0
        assert calls(cloud) == [*DESCRIBES, "DescribeModelPackage"]

    def test_an_endpoint_that_is_not_there(self, asks, cloud):
        arn = "arn:aws:sagemaker:us-west-2:123456789012:endpoint/ep"
        cloud.answers["DescribeEndpoint"] = lambda _: error("ValidationException", f'Could not find endpoint "{arn}".')
        done = asks()
        assert (done.code, bodies(cloud)) == (5, [])
        assert arn in done.err
        assert "`sm-ask endpoints` lists" in done.err


class TestKeeping:
    def test_a_known_endpoint_costs_no_call(self, asks, cloud):
        runs(cloud, TGI)
        cloud.answers["invoke"] = tgi
        assert (asks().code, calls(cloud)) == (0, DESCRIBES)
        assert (asks().code, calls(cloud), bodies(cloud)) == (0, [], ["inputs"])

    def test_for_the_owner_alone(self, asks, entries):
        asks()
        [file] = entries.iterdir()
        assert [stat.S_IMODE(path.stat().st_mode) for path in (file, entries)] == [0o600, 0o700]
        file.chmod(0o644)
        entries.chmod(0o755)
        asks()
        assert [stat.S_IMODE(path.stat().st_mode) for path in (file, entries)] == [0o600, 0o700]

    def test_nothing_on_the_disk(self, asks, cloud, entries):
        for _ in range(2):
            assert asks("--no-cache").code == 0
            assert calls(cloud) == DESCRIBES
        assert not entries.exists()

    @pytest.mark.parametrize(
        "other",
        [
            ["-e", "other"],
            ["--region", "eu-west-1"],
            ["--target-variant", "AllTraffic"],
            ["--role-arn", ROLE],
            ["--expect-account", "111111111111"],
        ],
    )
    def test_for_each_endpoint_by_itself(self, asks, cloud, other):
        asks()
        asks(*other)
        assert calls(cloud) == DESCRIBES
        asks(*other)
        assert calls(cloud) == []

    def test_for_each_key_by_itself(self, asks, cloud, monkeypatch):
        asks()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHEROTHEROTHER0")
        asks()
        assert calls(cloud) == DESCRIBES

    @pytest.mark.parametrize(
        "change",
        [
            {"expiry_time": "2026-01-01T00:00:00+00:00"},
            {"expiry_time": "2199-01-01T00:00:00+00:00"},
            {"expiry_time": "tomorrow"},
            {"preset": "/tmp/evil.py:Handler"},
            {"preset": "no-such"},
            {"context_window": "many"},
            {"preset": 5},
            {"more": "x"},
        ],
        ids=str,
    )
    def test_an_entry_that_is_old_or_damaged_does_not_count(self, asks, cloud, entries, change):
        asks()
        [file] = entries.iterdir()
        file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
        assert (asks().code, calls(cloud)) == (0, DESCRIBES)
        assert (asks().code, calls(cloud)) == (0, [])

    @pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
    def test_nor_does_garbage(self, asks, cloud, entries, data):
        asks()
        next(entries.iterdir()).write_bytes(data)
        assert (asks().code, calls(cloud)) == (0, DESCRIBES)

    def test_a_disk_that_takes_nothing(self, asks, cloud, entries):
        entries.parent.parent.mkdir(parents=True)
        entries.parent.write_text("a file in the way")
        assert (asks().code, calls(cloud)) == (0, DESCRIBES)


class TestPuttingRight:
    def test_a_refusal_throws_the_entry_away_and_looks_once_more(self, asks, cloud):
        runs(cloud, TGI)
        cloud.answers["invoke"] = tgi
        asks()
        runs(cloud, IMAGE)
        cloud.answers["invoke"] = vllm
        done = asks("--json")
        assert (done.code, calls(cloud), bodies(cloud)) == (0, DESCRIBES, ["inputs", "messages"])
        assert json.loads(done.out)["handler"] == "openai-chat"
        assert done.err == "sm-ask: the container refused tgi, and is asked as openai-chat\n"
        assert (asks().code, calls(cloud), bodies(cloud)) == (0, [], ["messages"])

    def test_only_once(self, asks, cloud):
        asks()
        cloud.answers["invoke"] = lambda _: refusal("Unsupported Media Type", 415)
        done = asks()
        assert (done.code, calls(cloud), bodies(cloud)) == (9, DESCRIBES, ["messages"])

    def test_what_the_container_says_counts_where_the_image_allows_it(self, asks, cloud):
        """vLLM with a base model, which has no chat template."""
        said = json.dumps({"error": {"message": "you must provide a chat template", "code": 400}})
        cloud.answers["invoke"] = lambda request: refusal(said) if "messages" in request.json else completion()
        done = asks("--json")
        assert (done.code, bodies(cloud)) == (0, ["messages", "prompt"])
        assert json.loads(done.out)["handler"] == "openai-completions"
        assert (asks().code, calls(cloud), bodies(cloud)) == (0, [], ["prompt"])

    def test_an_answer_of_no_known_shape_is_looked_into_next_time(self, asks, cloud):
        """It has been paid for, so nothing is asked again by itself."""
        asks()
        cloud.answers["invoke"] = lambda _: streamed([b'{"strange": 1}'])
        assert (asks().code, calls(cloud), bodies(cloud)) == (11, [], ["messages"])
        cloud.answers.pop("invoke")
        assert (asks().code, calls(cloud)) == (0, DESCRIBES)

    def test_another_failure_changes_nothing(self, asks, cloud):
        asks()
        cloud.answers["invoke"] = lambda _: refusal("CUDA out of memory", 500)
        assert (asks().code, calls(cloud), bodies(cloud)) == (9, [], ["messages"])
        cloud.answers.pop("invoke")
        assert (asks().code, calls(cloud)) == (0, [])

    def test_not_after_text_has_come(self, asks, cloud):
        runs(cloud, TGI)
        report = json.dumps({"error": VLLM_REFUSES}).encode()
        cloud.answers["invoke"] = lambda _: streamed([tgi_event("Hel"), b"data:" + report + b"\n\n"])
        asks()
        done = asks()
        assert (done.code, done.text, bodies(cloud)) == (9, "Hel\n", ["inputs"])

    def test_a_handler_that_is_named_is_not_replaced(self, asks, cloud):
        cloud.answers["invoke"] = vllm
        done = asks("--handler", "tgi")
        assert (done.code, bodies(cloud)) == (9, ["inputs"])
        assert "hint: this looks like a vLLM container; try --handler openai-chat\n" in done.err


class TestAssuming:
    def test_without_permission(self, asks, cloud):
        denies(cloud, "DescribeEndpoint")
        done = asks()
        [line] = done.err.splitlines()
        assert (done.code, bodies(cloud)) == (0, ["messages"])
        assert "sagemaker:DescribeEndpoint" in line
        assert "openai-chat is assumed" in line

    def test_then_the_other_format(self, asks, cloud):
        denies(cloud, "DescribeEndpoint")
        cloud.answers["invoke"] = tgi
        done = asks("--json")
        assert (done.code, bodies(cloud), len(done.err.splitlines())) == (0, ["messages", "inputs"], 2)
        assert json.loads(done.out)["handler"] == "tgi"

    def test_what_worked_is_kept(self, asks, cloud):
        denies(cloud, "DescribeEndpoint")
        cloud.answers["invoke"] = tgi
        asks()
        assert (asks().code, calls(cloud), bodies(cloud)) == (0, [], ["inputs"])

    def test_what_did_not_is_not(self, asks, cloud, entries):
        denies(cloud, "DescribeEndpoint")
        cloud.answers["invoke"] = lambda _: refusal("Unsupported Media Type", 415)
        assert (asks().code, bodies(cloud)) == (9, ["messages", "inputs"])
        assert not entries.exists()

    def test_the_container_knows_best(self, asks, cloud):
        denies(cloud, "DescribeEndpoint")
        said = "The input must be a JSON dictionary with exactly one of the input fields {'inputs'}"
        cloud.answers["invoke"] = lambda _: refusal(said)
        done = asks()
        assert done.code == 9
        assert "is asked as mlflow" in done.err

    @pytest.mark.parametrize(
        "answer",
        [
            error("ThrottlingException", "Rate exceeded"),
            error("InternalFailure", "no", 500),
            whole("<html>", 503, Content_Type="text/html"),
            whole("", 403),
        ],
    )
    def test_when_the_control_plane_fails(self, asks, cloud, answer):
        cloud.answers["DescribeEndpoint"] = lambda _: answer
        done = asks("--no-cache")
        # What is throttled is tried again, as it costs nothing.
        assert (done.code, set(calls(cloud)), bodies(cloud)) == (0, {"DescribeEndpoint"}, ["messages"])
        assert "openai-chat is assumed" in done.err

    @pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
    def test_where_a_part_may_not_be_seen(self, asks, cloud, code):
        """Without the config, and without an image in the endpoint's own description, nobody knows what runs there."""
        says_of(cloud, "DescribeEndpoint", ProductionVariants=[{"VariantName": "AllTraffic"}])
        cloud.answers["DescribeEndpointConfig"] = lambda _: error(code, "no")
        done = asks("--no-cache")
        assert (done.code, bodies(cloud)) == (0, ["messages"]), done.err
        assert "openai-chat is assumed" in done.err

    def test_bad_credentials_are_bad_everywhere(self, asks, cloud):
        cloud.answers["DescribeEndpoint"] = lambda _: error("ExpiredTokenException", "expired")
        assert (asks().code, bodies(cloud)) == (4, [])


class TestAddresses:
    def test_a_runtime_of_ones_own_is_not_asked_about(self, cli, serve):
        """Nothing but the endpoint itself is asked, which the guard of the tests watches as well."""
        server = serve(says(chat_stream("Hello")))
        assert cli("prompt", "hi", server=server).code == 0
        assert [request.path for request in server.requests] == ["/endpoints/ep/invocations-response-stream"]

    def test_but_it_may_be_asked_in_another_format(self, cli, serve):
        server = serve(
            failing(424, "ModelError", "m", {"OriginalStatusCode": 422, "OriginalMessage": TGI_REFUSES}),
            says(streamed(tgi_parts("Hello"))),
        )
        done = cli("prompt", "hi", server=server)
        assert (done.code, done.text, len(server.requests)) == (0, "Hello\n", 2)

    def test_a_control_plane_of_its_own(self, cli, serve, cloud, monkeypatch):
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", cloud.url)
        done = cli("prompt", "hi", server=serve(says(chat_stream("Hello"))))
        assert (done.code, calls(cloud)) == (0, DESCRIBES)
        assert "AWS_ENDPOINT_URL_SAGEMAKER" in done.err

    def test_not_in_clear_to_another_machine(self, cli, serve, monkeypatch):
        """Row Z4."""
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "http://control.example.com")
        server = serve(says(chat_stream("Hello")))
        done = cli("prompt", "hi", server=server)
        assert (done.code, server.requests) == (3, [])
        assert "AWS_ENDPOINT_URL_SAGEMAKER" in done.err


class TestDryRun:
    def test_it_calls_nobody_and_says_what_it_assumes(self, asks, cloud, entries):
        done = asks("--dry-run", "--json")
        assert (done.code, cloud.requests) == (0, [])
        assert done.err == (
            "sm-ask: openai-chat is assumed; without --dry-run, AWS is asked what runs behind the endpoint\n"
        )
        assert not entries.exists()

    def test_what_is_known_counts(self, asks, cloud):
        runs(cloud, TGI)
        cloud.answers["invoke"] = tgi
        asks()
        done = asks("--dry-run", "--json")
        assert (done.code, cloud.requests, done.err) == (0, [], "")
        assert "inputs" in json.loads(done.out)["body"]


class TestThreads:
    """One connection, as a batch has it."""

    def ask(self, many: int = 16) -> list[str]:
        setup = Setup(Profile("", endpoint="ep", region="us-west-2"), connections=many)
        request = Request((Message("user", "Hi"),), stream=False)
        with connect(setup, tell=lambda _: None) as connection, ThreadPoolExecutor(many) as threads:
            answers = list(threads.map(lambda _: connection.answer(request).text, range(many)))
            self.handler, self.window = connection.asked().handler, connection.context_window
        return answers

    def test_they_look_once(self, cloud):
        runs(cloud, IMAGE, {"SM_VLLM_MAX_MODEL_LEN": "8192"})
        cloud.answers["invoke"] = lambda _: chat_whole("Hello")
        assert self.ask() == ["Hello"] * 16
        assert (calls(cloud), self.window) == (DESCRIBES, 8192)

    def test_they_change_their_mind_together(self, cloud):
        denies(cloud, "DescribeEndpoint")
        cloud.answers["invoke"] = lambda request: (
            whole([{"generated_text": "Hello"}]) if "inputs" in request.json else refusal(TGI_REFUSES, 422)
        )
        assert self.ask() == ["Hello"] * 16
        assert (calls(cloud), self.handler) == (["DescribeEndpoint"], "tgi")
        assert bodies(cloud).count("inputs") == 16

    def test_they_give_up_together(self, cloud):
        denies(cloud, "DescribeEndpoint")
        cloud.answers["invoke"] = lambda _: refusal("Unsupported Media Type", 415)
        with pytest.raises(SchemaError):
            self.ask()
        assert {"messages", "inputs"} == set(bodies(cloud))


def test_the_context_window_is_kept_too(asks, cloud):
    runs(cloud, IMAGE, {"SM_VLLM_MAX_MODEL_LEN": "8192"})
    asks()
    setup = Setup(Profile("", endpoint="ep", region="us-west-2"))
    cloud.requests.clear()
    with connect(setup, tell=lambda _: None) as connection:
        assert (connection.context_window, calls(cloud)) == (8192, [])


def test_a_profile_may_say_so(asks, cloud, tmp_path):
    path = tmp_path / "profiles.yaml"
    path.write_text("profiles:\n  a: {handler: auto}\n  b: {handler: tgi}\n")
    asks("--config", str(path), "-p", "a")
    assert calls(cloud) == DESCRIBES
    asks("--config", str(path), "-p", "b")
    assert (calls(cloud), bodies(cloud)) == ([], ["inputs"])


def test_debug_says_why(asks, cloud):
    runs(cloud, IMAGE)
    assert "content handler openai-chat: the image vllm:v0.10.2: vLLM" in asks("--debug").err


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_after_an_assumption_is_the_containers_own(asks, cloud, stream):
    denies(cloud, "DescribeEndpoint")
    cloud.answers["invoke"] = lambda _: refusal("This model's maximum context length is 4096 tokens")
    done = asks("--stream" if stream else "--no-stream")
    assert (done.code, bodies(cloud)) == (ModelError.code, ["messages"])
    assert "hint: the container takes 4,096 tokens" in done.err


def component(cloud: Cloud, **known: dict[str, Any]) -> None:
    """Have inference components of those names and specifications."""

    def answer(request: Recorded) -> bytes:
        name = request.json["InferenceComponentName"]
        arn = f"arn:aws:sagemaker:us-west-2:111111111111:inference-component/{name}"
        return whole({"InferenceComponentName": name, "InferenceComponentArn": arn, "Specification": known[name]})

    cloud.answers["DescribeInferenceComponent"] = answer


def two_variants(cloud: Cloud) -> None:
    """One variant runs TGI, the other one vLLM."""
    variants = [{"VariantName": name, "ModelName": name} for name in ("one", "two")]
    says_of(cloud, "DescribeEndpoint", ProductionVariants=[{"VariantName": name} for name in ("one", "two")])
    says_of(cloud, "DescribeEndpointConfig", ProductionVariants=variants)
    images = {"one": TGI, "two": IMAGE}
    cloud.answers["DescribeModel"] = lambda request: whole(
        {"ModelName": "m", "PrimaryContainer": {"Image": images[request.json["ModelName"]]}}
    )


def completion() -> bytes:
    """A stream of OpenAI's completions."""
    choice = {"index": 0, "text": "Hello", "finish_reason": "stop"}
    return streamed([f"data: {json.dumps({'choices': [choice]})}\n\n".encode(), b"data: [DONE]\n\n"])


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class TestAgainstMoto:
    """The happy ways, with the control plane played by moto."""

    @pytest.fixture
    def deploy(self, moto, monkeypatch) -> Callable[..., None]:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", moto)
        session = botocore.session.Session()
        client = session.create_client("sagemaker", region_name="us-west-2", endpoint_url=moto)

        def make(name: str, container: dict[str, Any], **variant: Any) -> None:
            client.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
            default = {} if variant else {"InitialInstanceCount": 1, "InstanceType": "ml.g4dn.xlarge"}
            variants = [{"VariantName": "AllTraffic", "ModelName": name, **default, **variant}]
            client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
            client.create_endpoint(EndpointName=name, EndpointConfigName=name)

        return make

    @pytest.mark.parametrize(
        ("name", "image", "variant", "handler"),
        [
            ("real-time", TGI, {}, "tgi"),
            ("own-ecr", IMAGE, {}, "openai-chat"),
            ("serverless", TGI, {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1}}, "tgi"),
        ],
    )
    def test_what_it_describes_is_understood(self, cli, serve, deploy, name, image, variant, handler):
        deploy(name, {"Image": image}, **variant)
        server = serve(says(streamed(tgi_parts("Hello")) if handler == "tgi" else chat_stream("Hello")))
        arguments = ["-e", name, "--region", "us-west-2", "--endpoint-url", server.url]
        done = cli("prompt", "hi", "--json", *arguments)
        assert (done.code, json.loads(done.out)["handler"]) == (0, handler)

    @pytest.mark.usefixtures("deploy")
    def test_an_endpoint_that_it_does_not_have(self, cli, serve):
        server = serve(says(chat_stream("Hello")))
        done = cli("prompt", "hi", "-e", "nowhere", "--region", "us-west-2", "--endpoint-url", server.url)
        assert (done.code, server.requests) == (5, [])


@pytest.mark.parametrize("stream", ["--stream", "--no-stream"])
def test_a_failure_that_quotes_the_question_is_no_refusal(asks, cloud, stream):
    """The model ran, and whoever asks again pays again."""
    denied = {"__type": "AccessDeniedException", "Message": "no"}
    cloud.answers["DescribeEndpoint"] = lambda _: whole(denied, 400)
    told = {
        "OriginalStatusCode": 500,
        "OriginalMessage": "worker died; prompt: missing field `inputs`, KeyError 'messages'",
    }
    cloud.answers["invoke"] = lambda _: whole({"Message": "x", **told}, 424, x_amzn_ErrorType="ModelError")
    done = asks(stream, "--json")
    assert (done.code, len(cloud.calls("invoke"))) == (9, 1)
    assert json.loads(done.err.splitlines()[-1])["maybe_charged"] is True


def test_an_error_after_text_may_have_been_charged(asks, cloud):
    error = b'data: {"error": {"message": "maximum context length is 4096 tokens"}}\n\n'
    cloud.answers["invoke"] = lambda _: streamed([chat_event({"content": "Hello"}), error])
    done = asks("--json")
    assert (done.code, len(cloud.calls("invoke"))) == (9, 1)
    assert json.loads(done.err.splitlines()[-1])["maybe_charged"] is True


def test_a_refused_entry_is_looked_for_once(asks, cloud, entries):
    """Where AWS still says what the container refuses, nobody is asked again and again, and nothing is kept."""
    assert asks().code == 0
    refusal = {"Message": "x", "OriginalStatusCode": 400, "OriginalMessage": VLLM_REFUSES}
    cloud.answers["invoke"] = lambda _: whole(refusal, 424, x_amzn_ErrorType="ModelError")
    setup = Setup(Profile("", endpoint="ep", region="us-west-2"))
    cloud.requests.clear()
    with connect(setup, tell=lambda _: None) as connection:
        for _ in range(3):
            with pytest.raises(SchemaError):
                connection.answer(Request((Message("user", "hi"),)))
    assert calls(cloud).count("DescribeEndpoint") == 1
    assert list(entries.glob("*.json")) == []
