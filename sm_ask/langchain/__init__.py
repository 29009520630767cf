"""The same endpoints as objects of LangChain: an LLM, a chat model, and its chains for questions about documents.

Tracing is left to the program that imports this: it goes where the program's own settings send it, and else nowhere.
"""

from __future__ import annotations

from sm_ask.langchain.chat_model import ChatSagemakerEndpoint
from sm_ask.langchain.content_handler import LLMContentHandler
from sm_ask.langchain.llm import SagemakerEndpoint
from sm_ask.langchain.questions import load_qa_chain

__all__ = ["ChatSagemakerEndpoint", "LLMContentHandler", "SagemakerEndpoint", "load_qa_chain"]
