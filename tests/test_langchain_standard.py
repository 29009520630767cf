"""LangChain's own suites for chat models."""

from __future__ import annotations

from langchain_tests.unit_tests import ChatModelUnitTests

from sm_ask.langchain import ChatSagemakerEndpoint


class TestUnits(ChatModelUnitTests):
    @property
    def chat_model_class(self):
        return ChatSagemakerEndpoint

    @property
    def chat_model_params(self):
        return {"endpoint_name": "ep", "region_name": "us-west-2"}

    @property
    def standard_chat_model_params(self):
        # AWS knows no single key.
        return {name: value for name, value in super().standard_chat_model_params.items() if name != "api_key"}
