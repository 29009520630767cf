"""From an image and an environment to a preset; repositories and tags as they are published, copied and built."""

from __future__ import annotations

import pytest

from sm_ask.handlers import NAMES
from sm_ask.handlers.detect import detect, parse

#: image: (family, preset)
IMAGES = {
    "djl-inference:0.25.0-deepspeed0.11.0-cu118": ("lmi", "lmi"),
    "djl-inference:0.24.0-fastertransformer5.3.0-cu118": ("lmi", "lmi"),
    "djl-inference:0.27.0-tensorrtllm0.8.0-cu122": ("lmi", "lmi"),
    "djl-inference:0.29.0-neuronx-sdk2.19.1": ("lmi", "lmi"),
    "djl-inference:0.31.0-lmi13.0.0-cu124": ("lmi", "lmi"),
    "djl-inference:0.36.0-lmi24.0.0-cu129-v1.1": ("lmi", "lmi"),
    "djl-inference:0.0.0.dev2-lmi0.0.0-cu130": ("lmi", "lmi"),
    "djl-inference:0.28.0-cpu-full": ("lmi", "lmi"),
    "deepjavalibrary/djl-serving:0.33.0-lmi": ("lmi", "lmi"),
    "huggingface-pytorch-tgi-inference:2.1.1-tgi1.3.3-gpu-py310-cu121-ubuntu20.04": ("tgi", "tgi"),
    "huggingface-pytorch-tgi-inference:2.1-tgi2.0-gpu-py310-cu121-ubuntu22.04": ("tgi", "tgi"),
    "huggingface-pytorch-tgi-inference:2.7.0-tgi3.3.4-gpu-py311-cu124-ubuntu22.04": ("tgi", "tgi"),
    "huggingface-pytorch-tgi-inference:2.1.2-optimum0.0.27-neuronx-py310-ubuntu22.04": ("tgi", "tgi"),
    "huggingface/text-generation-inference:3.1.0": ("tgi", "tgi"),
    "vllm:0.18.0-gpu-py312-cu129-ubuntu22.04-sagemaker": ("vllm", "openai-chat"),
    "vllm:server-sagemaker-cuda-v2.1": ("vllm", "openai-chat"),
    "vllm/vllm-openai:v0.11.0": ("vllm", "openai-chat"),
    "vllm-mistral:v0.9.1": ("vllm", "openai-chat"),
    "huggingface-vllm:0.24.0-transformers5.9.0-gpu-py312-cu130-ubuntu22.04": ("vllm", "openai-chat"),
    "huggingface-vllm-inference-neuronx:0.11.0-optimum0.4.4-neuronx-py310": ("vllm", "openai-chat"),
    "vllm:omni-sagemaker-cuda-v1.6": ("vllm-omni", None),
    "huggingface-vllm-omni:0.20.0-gpu-py312": ("vllm-omni", None),
    "sglang:0.5.12-gpu-py312-cu129-ubuntu24.04-sagemaker": ("sglang", "openai-chat"),
    "huggingface-sglang:0.5.11-transformers5.9.0-gpu-py312": ("sglang", "openai-chat"),
    "lmsysorg/sglang:v0.5.2-cu126": ("sglang", "openai-chat"),
    "sglang-on-sagemaker:2025": ("sglang", "openai-chat"),
    "llama-cpp:server-sagemaker-cpu-v1.0.0": ("llama-cpp", "openai-chat"),
    "llama-cpp-arm64:server-sagemaker-cpu": ("llama-cpp", "openai-chat"),
    "huggingface-llamacpp:b9000-gpu-cu130-ubuntu24.04": ("llama-cpp", "openai-chat"),
    "huggingface-llama.cpp:b9000-gpu-cu130": ("llama-cpp", "openai-chat"),
    "nova-inference-repo:SM-Inference-latest": ("nova", "nova"),
    "nova-inference-repo:v1.0.3": ("nova", "nova"),
    "nvidia/nim:llama3-8b-instruct-1.0.0": ("nim", "openai-chat"),
    "nim/meta/llama-3.1-8b-instruct:1.3": ("nim", "openai-chat"),
    "nim-mixtral-8x7b:latest": ("nim", "openai-chat"),
    "nvidia/nim:nv-embedqa-e5-v5-1.0.0": ("nim", None),
    "huggingface-pytorch-inference:2.1.0-transformers4.37.0-gpu-py310-cu118-ubuntu20.04": (
        "huggingface",
        "huggingface",
    ),
    "huggingface-pytorch-inference-neuronx:2.1.2-transformers4.43.2-neuronx-py310": ("huggingface", "huggingface"),
    "huggingface-tensorflow-inference:2.11.1-transformers4.26.0-cpu-py39": ("huggingface", "huggingface"),
    "tei:2.0.1-tei1.8.2-gpu-py310-cu122-ubuntu22.04": ("tei", None),
    "tei-cpu:2.0.1-tei1.8.2-cpu-py310-ubuntu22.04": ("tei", None),
    "sagemaker-tritonserver:25.04-py3": ("triton", "triton"),
    "mlflow-pyfunc:2.22.0": ("mlflow", "mlflow"),
    "pytorch-inference:2.6.0-gpu-py312-cu124-ubuntu22.04-sagemaker": ("custom", None),
    "stabilityai-pytorch-inference:2.0.1-sgm0.1.0-gpu-py310": ("custom", None),
    "autogluon-inference:1.3.0-gpu-py311": ("custom", None),
    "ray:2.40-gpu": ("custom", None),
    "our-own-model:17": ("custom", None),
    "x-ray-reports:1": ("custom", None),
    "animal-names:nimble": ("custom", None),
    "our-models:vllm-0.12": ("vllm", "openai-chat"),
    "our-models:tgi3.3-prod": ("tgi", "tgi"),
}
REGISTRIES = [
    "210987654321.dkr.ecr.eu-central-1.amazonaws.com/",
    "210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn/",
    "public.ecr.aws/deep-learning-containers/",
    "registry.example.org:5000/team/",
    "",
]


@pytest.mark.parametrize("registry", REGISTRIES)
@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_a_family_wherever_it_lies(image, registry):
    found = detect(registry + image)
    assert (found.family, found.preset) == IMAGES[image]
    assert {found.preset, *found.candidates} - {None} <= {*NAMES}


def test_a_digest_is_no_tag():
    assert parse("a.example/team/vllm:v1@sha256:00ff").tag == "v1"
    assert parse("localhost/vllm@sha256:00ff") == (("vllm",), "")


def test_the_account_does_not_count():
    """Accounts publish more than one family, and users copy images into their own."""
    assert detect("763104351884.dkr.ecr.us-east-1.amazonaws.com/thing:1").preset is None
    assert detect("vllm.example.org/thing:1").preset is None


@pytest.mark.parametrize(
    ("image", "environment", "preset", "words"),
    [
        (
            "huggingface-pytorch-tgi-inference:2.1.1-tgi2.0.2",
            {"MESSAGES_API_ENABLED": "true"},
            "openai-chat",
            "TGI 2.0",
        ),
        ("huggingface-pytorch-tgi-inference:2.1.1-tgi2.0.2", {"MESSAGES_API_ENABLED": "false"}, "tgi", "TGI 2.0"),
        ("huggingface-pytorch-tgi-inference:2.6.0-tgi3.0.1", {}, "tgi", "--handler openai-chat"),
        ("djl-inference:0.36.0-lmi20.0.0-cu128", {"OPTION_ASYNC_MODE": "true"}, "lmi", "asynchronous"),
        ("djl-inference:0.36.0-lmi20.0.0-cu128", {"OPTION_ROLLING_BATCH": "vllm"}, "lmi", "rolling batch vllm"),
        ("djl-inference:0.30.0-lmi12.0.0", {"OPTION_TGI_COMPAT": "true"}, "lmi", "DJL 0.30"),
        ("djl-inference:0.30.0-lmi12.0.0", {"OPTION_BEDROCK_COMPAT": "true"}, None, "OPTION_BEDROCK_COMPAT"),
        ("djl-inference:0.30.0-lmi12.0.0", {"OPTION_ENTRYPOINT": "model.py"}, None, "model.py"),
        ("djl-inference:0.30.0-lmi12.0.0", {"OPTION_ENTRYPOINT": "djl_python.huggingface"}, "lmi", "DJL"),
        ("vllm:server-sagemaker-cuda", {"SM_VLLM_TASK": "embed"}, None, "embed"),
        ("nim:llama3-8b-instruct", {"NIM_SERVED_MODEL_NAME": "meta/llama3"}, "openai-chat", "-o model=meta/llama3"),
        ("huggingface-pytorch-inference:2.1", {"HF_TASK": "text-generation"}, "huggingface", "text-generation"),
        ("huggingface-pytorch-inference:2.1", {"HF_TASK": "feature-extraction"}, None, "feature-extraction"),
        ("huggingface-pytorch-inference:2.1", {"SAGEMAKER_PROGRAM": "inference.py"}, "huggingface", "inference.py"),
        ("sagemaker-tritonserver:24.01", {"SAGEMAKER_TRITON_INFERENCE_TYPE": "infer"}, None, "tensors"),
        ("sagemaker-tritonserver:24.01", {"SAGEMAKER_TRITON_INFERENCE_TYPE": "generate_stream"}, "triton", "generate"),
        ("our-own:1", {"SM_VLLM_MODEL": "/opt/ml/model"}, "openai-chat", "SM_VLLM_MODEL"),
        ("our-own:1", {"SM_SGLANG_MODEL_PATH": "/opt/ml/model"}, "openai-chat", "SM_SGLANG_MODEL_PATH"),
        ("our-own:1", {"OPTION_MODEL_ID": "/opt/ml/model"}, "lmi", "OPTION_MODEL_ID"),
        ("our-own:1", {"NGC_API_KEY": "not shown"}, "openai-chat", "NGC_API_KEY"),
        ("our-own:1", {"PATH": "/bin"}, None, "no known family"),
    ],
)
def test_the_environment_counts_too(image, environment, preset, words):
    found = detect(image, environment)
    assert found.preset == preset
    assert words in found.reason
    assert "not shown" not in found.reason


def test_a_model_without_an_image_has_candidates():
    found = detect(None)
    assert found.preset is None
    assert "openai-chat" in found.candidates
