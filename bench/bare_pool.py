"""The peer of `sm-ask batch`: what an engineer writes without it. URL WORKERS INPUT OUTPUT [--whole]."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed

import boto3
from botocore.config import Config

url, workers, questions, output = sys.argv[1:5]
runtime = boto3.client(
    "sagemaker-runtime",
    region_name="us-west-2",
    endpoint_url=url,
    config=Config(max_pool_connections=int(workers)),
)
call = {"EndpointName": "bench", "ContentType": "application/json"}


def ask(row: dict[str, str]) -> tuple[str, str]:
    """Ask one question."""
    body = {"messages": [{"role": "user", "content": row["prompt"]}], "max_tokens": 512}
    if "--whole" in sys.argv:
        response = runtime.invoke_endpoint(Body=json.dumps(body), **call)
        return row["id"], json.loads(response["Body"].read())["choices"][0]["message"]["content"]
    response = runtime.invoke_endpoint_with_response_stream(Body=json.dumps({**body, "stream": True}), **call)
    pieces = b"".join(event["PayloadPart"]["Bytes"] for event in response["Body"])
    events = [json.loads(line[6:]) for line in pieces.split(b"\n") if line.startswith(b"data: {")]
    return row["id"], "".join(c["delta"].get("content", "") for event in events for c in event["choices"])


with open(questions, encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]
with ThreadPoolExecutor(int(workers)) as pool, open(output, "w", encoding="utf-8") as file:
    for done in as_completed([pool.submit(ask, row) for row in rows]):
        name, text = done.result()
        file.write(json.dumps({"id": name, "answer": text}) + "\n")
