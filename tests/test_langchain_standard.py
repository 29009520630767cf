"""LangChain's own suites for chat models."""

from __future__ import annotations

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from sm_ask.langchain import ChatSagemakerEndpoint
from sm_ask.local import open_container
from sm_ask.local.service import Service


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


@pytest.mark.model
class TestIntegration(ChatModelIntegrationTests):
    """Asks the model that is built in; it is too small to call tools, and too talkative for six tokens of JSON."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _served(cls):
        with Service(open_container(), name="ep") as service:
            cls.url = service.url
            yield

    @property
    def chat_model_class(self):
        return ChatSagemakerEndpoint

    @property
    def chat_model_params(self):
        params = {"endpoint_name": "ep", "region_name": "us-west-2", "endpoint_url": self.url}
        return {**params, "max_tokens": 6, "temperature": 0}

    @property
    def has_tool_calling(self):
        return False

    @property
    def has_structured_output(self):
        return False

    def test_an_answer_is_held_to_a_schema(self):
        schema = {
            "title": "Answer",
            "type": "object",
            "properties": {"days": {"type": "integer"}},
            "required": ["days"],
        }
        model = ChatSagemakerEndpoint(**{**self.chat_model_params, "max_tokens": 20}).with_structured_output(schema)
        found = model.invoke("Elizabeth was in hospital for 3 days. How many days was that?")
        assert type(found["days"]) is int
