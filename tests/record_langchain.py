"""Write down what langchain-community's own class sends: run by hand, where it and langchain-classic are installed."""

from __future__ import annotations

import json
import threading
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
from langchain_classic.chains.question_answering import load_qa_chain
from langchain_community.llms.sagemaker_endpoint import LLMContentHandler, SagemakerEndpoint
from langchain_core._api.deprecation import LangChainDeprecationWarning

from langchain_scenarios import ANSWER, scenarios

sent: list[dict[str, str]] = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        kept = {name: value for name, value in headers.items() if name.startswith("x-amzn-sagemaker-")}
        kept |= {name: headers[name] for name in ("content-type", "accept")}
        sent.append({"path": self.path, "headers": kept, "body": body})
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_):
        pass


def main() -> None:
    warnings.simplefilter("ignore", LangChainDeprecationWarning)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = boto3.client(
        "sagemaker-runtime",
        region_name="us-west-2",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    recorded = {}
    for name, run in scenarios(SagemakerEndpoint, LLMContentHandler, load_qa_chain, client).items():
        sent.clear()
        run()
        recorded[name] = list(sent)
    text = json.dumps(recorded, indent=2, sort_keys=True)
    Path(__file__).with_name("recorded_by_langchain.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
