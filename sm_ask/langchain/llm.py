"""An endpoint as an LLM of LangChain's: text in, text out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LangSmithParams, LanguageModelInput
from langchain_core.language_models.llms import LLM
from langchain_core.outputs import Generation, GenerationChunk, LLMResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import run_in_executor

from sm_ask.chat import Answer, Message, Text
from sm_ask.langchain.batch import bounded
from sm_ask.langchain.endpoint import Endpoint
from sm_ask.langchain.facts import facts


class SagemakerEndpoint(Endpoint, LLM):
    """A language model behind an endpoint.

    With a ``content_handler`` of LangChain's shape the request's body is what it makes of the prompt, to the byte;
    without one, sm-ask knows the container: by ``handler``, or by the profile. Errors are those of ``sm_ask.errors``.
    """

    profile: str | None = None
    """The name of one of sm-ask's profiles; what is given beside it counts before it."""

    @property
    def _llm_type(self) -> str:
        return "sagemaker_endpoint"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return self._identity()

    def _named(self) -> str | None:
        return self.profile

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return self._traced(super()._get_ls_params(stop=stop, **kwargs), kwargs)

    def _call(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> str:
        return self._generation(prompt, stop, run_manager, kwargs).text

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Ask several prompts at once; the first failure is the last question."""
        one = partial(self._generation, stop=stop, run_manager=run_manager, given=kwargs)
        if len(prompts) == 1:
            # In this thread, where Ctrl-C ends it at once.
            found = [one(prompts[0])]
        else:
            pool = ThreadPoolExecutor(self.max_concurrency)
            try:
                found = list(pool.map(one, prompts))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        return LLMResult(generations=[[each] for each in found], llm_output={"model_name": self._name()})

    async def _agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        manager = run_manager.get_sync() if run_manager else None
        return await run_in_executor(None, self._generate, prompts, stop, manager, **kwargs)

    def _stream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        for chunk in self._chunks(prompt, stop, kwargs, stream=True):
            if run_manager and chunk.text:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """Ask each input by itself, so that one failure takes no other's answer away."""
        configs = bounded(config, len(inputs), self.max_concurrency)
        return Runnable.batch(self, inputs, configs, return_exceptions=return_exceptions, **kwargs)

    async def abatch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """Do the same, without holding up the event loop."""
        configs = bounded(config, len(inputs), self.max_concurrency)
        return await Runnable.abatch(self, inputs, configs, return_exceptions=return_exceptions, **kwargs)

    def _generation(
        self,
        prompt: str,
        stop: list[str] | None,
        run_manager: CallbackManagerForLLMRun | None,
        given: Mapping[str, Any],
    ) -> Generation:
        if self.streaming:
            chunks = list(self._stream(prompt, stop, run_manager, **given))
        else:
            chunks = list(self._chunks(prompt, stop, given, stream=False))
        return Generation(text="".join(chunk.text for chunk in chunks), generation_info=chunks[-1].generation_info)

    def _chunks(
        self, prompt: str, stop: list[str] | None, given: Mapping[str, Any], *, stream: bool
    ) -> Iterator[GenerationChunk]:
        """Yield the text, and at the end what is known of it."""
        answer: Answer | None = None
        for event in self._events([Message("user", prompt)], stop or (), given, stream=stream):
            if isinstance(event, Answer):
                answer = event
            elif isinstance(event, Text) and not event.reasoning:
                yield GenerationChunk(text=event.text)
        known = facts(answer, self._name())
        if answer and answer.reasoning:
            known["reasoning"] = answer.reasoning
        yield GenerationChunk(text="", generation_info=known)
