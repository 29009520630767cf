"""What LangChain's users do, with whichever classes: the same for those of langchain-community and for our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from langchain_core.documents import Document
from langchain_core.prompts import PromptTemplate

ANSWER = b'[{"generated_text": "Three days."}]'
HOSPITAL = """
Peter and Elizabeth took a taxi to attend the night party in the city. While in the party, Elizabeth collapsed and was rushed to the hospital.
Since she was diagnosed with a brain injury, the doctor told Peter to stay besides her until she gets well.
Therefore, Peter stayed with her at the hospital for 3 days without leaving.
"""  # noqa: E501 - the notebook's own
PROMPT = PromptTemplate.from_template("Read this.\n\n{context}\n\nQuestion: {question}\nAnswer in {{braces}}:")
PARTS = {
    "CustomAttributes": "accept_eula=true",
    "TargetVariant": "blue",
    "InferenceComponentName": "component",
    "TargetModel": "model.tar.gz",
    "InferenceId": "mine",
}


def documents(*texts: str) -> list[Document]:
    return [Document(page_content=text) for text in texts]


def scenarios(endpoint: Any, base: type, load_qa_chain: Any, client: Any) -> dict[str, Callable[[], object]]:
    """Give each by its name; ``base`` is the class that content handlers derive from."""

    class Parameters(base):
        content_type = "application/json"
        accepts = "application/json"

        def transform_input(self, prompt, model_kwargs):
            return json.dumps({"inputs": prompt, "parameters": model_kwargs}).encode("utf-8")

        def transform_output(self, output):
            return json.loads(output.read().decode("utf-8"))[0]["generated_text"]

    class Merged(Parameters):
        def transform_input(self, prompt, model_kwargs):
            return json.dumps({prompt: prompt, **model_kwargs}).encode("utf-8")

    class Plain(base):
        def transform_input(self, prompt, model_kwargs):  # noqa: ARG002 - so is it called
            return prompt.encode()

        def transform_output(self, output):
            return output.read().decode()

    def llm(handler=Parameters, **fields):
        return endpoint(endpoint_name="ep", client=client, content_handler=handler(), **fields)

    def ask(chain, question, *texts):
        return chain({"input_documents": documents(*texts), "question": question}, return_only_outputs=True)

    greedy = {"temperature": 1e-10}
    return {
        "documents": lambda: ask(load_qa_chain(llm(model_kwargs=greedy), prompt=PROMPT), "How long?\n", HOSPITAL),
        "braces": lambda: ask(load_qa_chain(llm(), "stuff", prompt=PROMPT), "{q}?", "{a} % $b", "größer\u2028\r\n"),
        "call": lambda: llm().invoke("Grüße 😀 \u2028 {x}"),
        "parameters": lambda: llm(model_kwargs={"b": 1, "a": None}).invoke("Hi", a=[1.5], top_p=0.9),
        "merged": lambda: llm(Merged, model_kwargs={"temperature": 0}).invoke("Hi"),
        "text": lambda: llm(Plain).invoke("Hi\r\n"),
        "parts": lambda: llm(endpoint_kwargs=PARTS).invoke("Hi"),
        "stop": lambda: llm().invoke("Hi", stop=["\n"]),
        "bound": lambda: llm().bind(top_k=3).invoke("Hi"),
        "prompts": lambda: llm().generate(["One"]),
    }
