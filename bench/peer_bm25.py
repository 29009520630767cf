"""The peer: LangChain's BM25Retriever over the same passages. JSON on stdin, and on stdout."""

import json
import sys
import warnings

warnings.simplefilter("ignore")

from langchain_community.retrievers import BM25Retriever  # noqa: E402
from langchain_core.documents import Document  # noqa: E402

asked = json.load(sys.stdin)
passages = [Document(page_content=text, metadata={"path": path}) for path, text in asked["passages"]]
retriever = BM25Retriever.from_documents(passages, k=asked["first"])
found = [retriever.invoke(question) for question in asked["questions"]]
print(json.dumps([[(each.metadata["path"], each.page_content) for each in documents] for documents in found]))
