"""The presets: how each family of containers is asked, and how it answers."""

from __future__ import annotations

from sm_ask import wire
from sm_ask.handlers import fragments, placing, shapes
from sm_ask.handlers.params import Params, nearly_greedy, sampled
from sm_ask.handlers.preset import NOTHING, Preset

_OPENAI = Params(same_limit=("max_completion_tokens",))
_OPENAI_STREAM = {"stream": True, "stream_options": {"include_usage": True}}
_TGI = Params("parameters", {"max_tokens": ("max_new_tokens",), "n": ()}, sampled)
#: LMI's older engines look at the one, its newer ones at the other.
_LMI = _TGI._replace(names={**_TGI.names, "stop": ("stop", "stop_sequences")})
_FULL = {"parameters": {"return_full_text": False, "details": True}}
_NOVA = (
    *("max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "logprobs", "top_logprobs"),
    *("reasoning_effort", "allowed_token_ids", "truncate_prompt_tokens"),
)
_SCRIPT = Params(
    names={"max_tokens": ("max_length",), "n": ("num_return_sequences",), "stop": (), "repetition_penalty": ()},
    rule=sampled,
)
_COHERE = Params(
    names={
        "top_p": ("p",),
        "top_k": ("k",),
        "stop": ("stop_sequences",),
        "n": (),
        "seed": (),
        "repetition_penalty": (),
    }
)
_AI21 = Params(
    names={
        "max_tokens": ("maxTokens",),
        "top_p": ("topP",),
        "stop": ("stopSequences",),
        "n": ("numResults",),
        "top_k": (),
        "seed": (),
        "repetition_penalty": (),
    }
)

PRESETS = (
    Preset(
        "openai-chat",
        "vLLM, SGLang, llama.cpp, NIM, TGI from 2.4 on, LMI from 0.27 on",
        placing.chat,
        _OPENAI,
        (shapes.choices,),
        "choices[0].message.content",
        streamed=_OPENAI_STREAM,
        tools=True,
    ),
    Preset(
        "openai-completions",
        "vLLM and LMI, models without a chat template",
        placing.under("prompt"),
        _OPENAI,
        (shapes.choices,),
        "choices[0].text",
        streamed=_OPENAI_STREAM,
    ),
    Preset(
        "tgi",
        "text-generation-inference and containers that speak its format",
        placing.under("inputs"),
        _TGI,
        (shapes.generated,),
        "[0].generated_text",
        fixed=_FULL,
        streamed={"stream": True},
    ),
    Preset(
        "lmi",
        "DJL Serving (djl-inference) in all its versions",
        placing.under("inputs"),
        _LMI,
        (shapes.generated, shapes.outputs, shapes.choices),
        "generated_text",
        fixed=_FULL,
        streamed={"stream": True},
        pieces=fragments.records,
    ),
    Preset(
        "nova",
        "Amazon Nova (nova-inference-repo)",
        placing.chat,
        Params(names={"stop": (), "seed": (), "repetition_penalty": (), "n": ()}, only=_NOVA),
        (shapes.choices,),
        "choices[0].message.content",
        streamed=_OPENAI_STREAM,
    ),
    Preset(
        "huggingface",
        "the Hugging Face inference toolkit's pipelines",
        placing.pipeline,
        Params(
            "parameters",
            {"max_tokens": ("max_new_tokens",), "n": ("num_return_sequences",), "stop": (), "seed": ()},
            sampled,
        ),
        (shapes.keyed("generated_text", "summary_text", "translation_text"),),
        "[0].generated_text, [0].summary_text or [0].translation_text",
        fixed={"parameters": {"return_full_text": False}},
        echoes=True,
    ),
    Preset(
        "jumpstart-llama2",
        "JumpStart's first Llama 2 models; accepts their licence with each request",
        placing.dialogs,
        Params(
            "parameters",
            {"max_tokens": ("max_new_tokens",), "top_k": (), "stop": (), "seed": (), "repetition_penalty": (), "n": ()},
            nearly_greedy,
        ),
        (shapes.keyed("generation", "generated_text"),),
        "[0].generation.content",
        custom_attributes="accept_eula=true",
    ),
    Preset(
        "jumpstart-text2text",
        "JumpStart's huggingface-text2text-* (Flan-T5, Flan-UL2, Bloomz)",
        placing.under("text_inputs"),
        _SCRIPT,
        (shapes.keyed("generated_texts", "generated_text"),),
        "generated_texts[0]",
    ),
    Preset(
        "jumpstart-textgeneration",
        "JumpStart's huggingface-textgeneration1-* (GPT-J, Bloom)",
        placing.under("text_inputs"),
        _SCRIPT,
        (shapes.keyed("generated_text", "generated_texts"),),
        "[0][0].generated_text",
        echoes=True,
    ),
    Preset(
        "cohere",
        "Cohere Command (the first chat and generate formats)",
        placing.cohere,
        _COHERE,
        (shapes.cohere,),
        "text",
        fixed={"stream": False},
        streamed={"stream": True},
        pieces=wire.values,
    ),
    Preset(
        "ai21",
        "AI21 Jurassic-2",
        placing.under("prompt"),
        _AI21,
        (shapes.ai21,),
        "completions[0].data.text",
    ),
    Preset(
        "triton",
        "Triton with the inference type generate or generate_stream",
        placing.under("text_input"),
        Params("parameters", {"stop": (), "n": ()}),
        (shapes.keyed("text_output"),),
        "text_output",
        fixed={"parameters": {"stream": False}},
        streamed={"parameters": {"stream": True}},
    ),
    Preset(
        "mlflow",
        "MLflow chat models (mlflow-pyfunc)",
        placing.chat,
        _OPENAI,
        (shapes.choices, shapes.keyed("predictions")),
        "choices[0].message.content or predictions[0]",
    ),
    Preset(
        "text",
        "containers that take a text and give a text",
        placing.joined,
        None,
        (shapes.verbatim,),
        "the body",
        streamed=NOTHING,
        whole=wire.text,
        pieces=wire.text,
        content_type="text/plain",
        accept="text/plain",
    ),
    Preset(
        "raw",
        "any container: the prompt is the request's JSON, the answer is the response's body",
        placing.joined,
        None,
        (shapes.verbatim,),
        "the body",
        streamed=NOTHING,
        whole=wire.text,
        pieces=wire.text,
    ),
)
