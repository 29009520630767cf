"""`sm-ask local`: an endpoint on this machine."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from sm_ask.errors import UsageError
from sm_ask.local import open_container
from sm_ask.local.service import USUAL_PORT, Service
from sm_ask.render import output

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="An endpoint on this machine.")


@app.callback()
def local() -> None:
    """Serve an endpoint on this machine."""


@app.command()
def serve(
    port: Annotated[
        int, typer.Option(help="The port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = USUAL_PORT,
    model: Annotated[str | None, typer.Option(help="smollm2, which is built in, or a GGUF file.  [smollm2]")] = None,
    container: Annotated[str | None, typer.Option(help="The URL of a container that serves /invocations.")] = None,
    name: Annotated[str, typer.Option(help="The endpoint's name.")] = "local",
) -> None:
    """Serve the SageMaker runtime API on loopback, in front of a model or of any container."""
    if model and container:
        raise UsageError("either --model or --container stands behind the endpoint, not both")
    with Service(open_container(model, container), name=name, port=port) as service:
        output.note(f"endpoint {name} at {service.url}; end with Ctrl-C")
        output.note(f"any SDK: AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME={service.url}")
        named = "" if name == "local" else f" -e {name}"
        output.note(f'any OpenAI tool: eval "$(sm-ask env -p local{named} --endpoint-url {service.url})"')
        threading.Event().wait()
