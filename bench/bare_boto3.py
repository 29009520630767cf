"""The peer: what an engineer writes without sm-ask. URL [--whole] [--document FILE] QUESTION."""

import argparse
import json

import boto3

parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("--whole", action="store_true")
parser.add_argument("--document")
parser.add_argument("question")
options = parser.parse_args()

prompt = options.question
if options.document:
    with open(options.document, encoding="utf-8") as file:
        prompt = f"Answer from this text alone.\n\n{file.read()}\n\nQuestion: {prompt}"
body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 512}
runtime = boto3.client("sagemaker-runtime", region_name="us-west-2", endpoint_url=options.url)
call = {"EndpointName": "bench", "ContentType": "application/json"}
if options.whole:
    response = runtime.invoke_endpoint(Body=json.dumps(body), **call)
    print(json.loads(response["Body"].read())["choices"][0]["message"]["content"])
else:
    response = runtime.invoke_endpoint_with_response_stream(Body=json.dumps({**body, "stream": True}), **call)
    buffer = b""
    for event in response["Body"]:
        buffer += event["PayloadPart"]["Bytes"]
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            if line.startswith(b"data: {"):
                choices = json.loads(line[6:])["choices"]
                print(choices[0]["delta"].get("content", "") if choices else "", end="", flush=True)
    print()
