"""A container's environment → how many tokens its model takes, question and answer together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The variables of vLLM, LMI, TGI, SGLang, llama.cpp, NIM and Nova.
_NAMES = (
    *("SM_VLLM_MAX_MODEL_LEN", "VLLM_MAX_MODEL_LEN", "OPTION_MAX_MODEL_LEN", "MAX_MODEL_LEN", "NIM_MAX_MODEL_LEN"),
    *("MAX_TOTAL_TOKENS", "SM_SGLANG_CONTEXT_LENGTH", "SGLANG_CONTEXT_LENGTH", "CONTEXT_LENGTH"),
    *("SM_LLAMA_CPP_CTX_SIZE", "LLAMA_ARG_CTX_SIZE"),
)
_DIGITS = 9


def context_window(environment: Mapping[str, str]) -> int | None:
    """Give the number; None where no variable says it, or not as a number, such as "auto"."""
    for name in _NAMES:
        value = environment.get(name, "").strip()
        if value.isdecimal() and len(value) <= _DIGITS and int(value):
            return int(value)
    return None
