"""The options that commands share, each declared once."""

from __future__ import annotations

import functools
import inspect
import json
import re
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_type_hints

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600}


def duration(text: str) -> float:
    """Read seconds, or a number with s, m or h."""
    found = _DURATION.fullmatch(text.strip())
    if not found or float(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no duration; one looks like 90, 90s or 15m")
    return float(found[1]) * _SECONDS[found[2]]


def _shared(name: str, help_text: str, *more: str, **settings: Any) -> Any:  # noqa: ANN401 - typer's option is untyped
    """Declare an option that the environment may give as well."""
    variable = "SM_ASK_" + name.removeprefix("--").upper().replace("-", "_")
    return typer.Option(name, *more, envvar=variable, show_envvar=False, help=help_text, **settings)


class CallOptions(NamedTuple):
    """Which endpoint to talk to, as whom, and how patiently."""

    endpoint: Annotated[str | None, _shared("--endpoint", "The endpoint's name.", "-e")] = None
    profile: Annotated[str | None, _shared("--profile", "An sm-ask profile; `local` is this machine.", "-p")] = None
    config: Annotated[str | None, _shared("--config", "The profiles file.")] = None
    handler: Annotated[
        str | None,
        _shared(
            "--handler",
            "The content handler: a name of `sm-ask handlers`, or a class: package.module:Class, /path/file.py:Class."
            "  [auto]",
        ),
    ] = None
    region: Annotated[str | None, _shared("--region", "The AWS region.")] = None
    aws_profile: Annotated[str | None, _shared("--aws-profile", "A profile of ~/.aws/config.")] = None
    role_arn: Annotated[
        list[str], _shared("--role-arn", "A role to assume; repeat it for a chain.", metavar="ARN")
    ] = []
    external_id: Annotated[str | None, _shared("--external-id", "The external id that the last role asks for.")] = None
    mfa_serial: Annotated[str | None, _shared("--mfa-serial", "The MFA device that the first role asks for.")] = None
    role_session_name: Annotated[
        str | None, _shared("--role-session-name", "The name of the roles' sessions.  [sm-ask]")
    ] = None
    role_duration: Annotated[
        float | None, _shared("--duration", "How long the last role's session lasts.", parser=duration, metavar="TIME")
    ] = None
    expect_account: Annotated[
        str | None, _shared("--expect-account", "Ask nothing under another account than this one.", metavar="ID")
    ] = None
    no_cache: Annotated[
        bool, _shared("--no-cache", "Keep nothing on the disk: no session of a role, no content handler.")
    ] = False
    endpoint_url: Annotated[str | None, _shared("--endpoint-url", "Another address than AWS's own.")] = None
    no_endpoint_override: Annotated[
        bool, _shared("--no-endpoint-override", "Ignore AWS_ENDPOINT_URL and its like.")
    ] = False
    allow_http: Annotated[bool, _shared("--allow-http", "Let a signed request travel over plain HTTP.")] = False
    inference_component: Annotated[str | None, _shared("--inference-component", "The inference component's name.")] = (
        None
    )
    target_variant: Annotated[str | None, _shared("--target-variant", "The production variant.")] = None
    target_model: Annotated[str | None, _shared("--target-model", "The model of a multi-model endpoint.")] = None
    target_container: Annotated[
        str | None, _shared("--target-container", "The container of a multi-container endpoint.")
    ] = None
    custom_attributes: Annotated[
        str | None, _shared("--custom-attributes", "Passed on to the container as they are.")
    ] = None
    session_id: Annotated[str | None, _shared("--session-id", "A stateful session: its id, or NEW_SESSION.")] = None
    timeout: Annotated[
        float | None, _shared("--timeout", "Seconds for the whole answer.  [600]", parser=duration, metavar="SECONDS")
    ] = None
    idle_timeout: Annotated[
        float | None, _shared("--idle-timeout", "Seconds without a byte.  [70]", parser=duration, metavar="SECONDS")
    ] = None
    retries: Annotated[int | None, _shared("--retries", "Tries after the first one.  [3; 9 in a batch]", min=0)] = None
    retry_unsafe: Annotated[
        bool, _shared("--retry-unsafe", "Try again even where the model may have run and been charged.")
    ] = False
    wait: Annotated[
        float | None,
        _shared(
            "--wait",
            "Wait for an endpoint that is not ready; 15m if no time is given.",
            parser=duration,
            metavar="TIME",
        ),
    ] = None
    debug: Annotated[bool, _shared("--debug", "Say what is done, and show tracebacks, on stderr.")] = False


System = Annotated[str | None, typer.Option("--system", "-s", help="A system prompt.")]
Parameter = Annotated[
    list[str],
    typer.Option("--option", "-o", metavar="KEY=VALUE", help="A parameter of the model; the value is JSON or text."),
]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="The answer's token limit.  [512]")]
Temperature = Annotated[float | None, typer.Option(min=0, help="0 takes the likeliest token each time.")]
ContextWindow = Annotated[
    int | None, _shared("--context-window", "How many tokens the model takes, prompt and answer.", min=1)
]
Tokenizer = Annotated[str | None, _shared("--tokenizer", "A tokenizer.json to count tokens with.")]
Stop = Annotated[list[str], typer.Option(help="Text to stop at; repeatable.")]


class QuestionOptions(NamedTuple):
    """How to ask, and how to show the answer."""

    system: System = None
    option: Parameter = []
    max_tokens: MaxTokens = None
    temperature: Temperature = None
    stop: Stop = []
    stream: Annotated[bool, typer.Option(help="Show the answer while it comes.")] = True
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON instead of text.")] = False
    raw: Annotated[bool, typer.Option("--raw", help="The container's own bytes.")] = False
    markdown: Annotated[bool, typer.Option("--markdown", help="Render Markdown, on a terminal.")] = False
    usage: Annotated[bool, typer.Option("--usage", help="Tokens and times, on stderr.")] = False
    require_complete: Annotated[
        bool, typer.Option("--require-complete", help="An answer cut by the token limit is an error (exit 10).")
    ] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the request instead of sending it.")] = False

    def parameters(self) -> dict[str, Any]:
        """Give the model's parameters under their canonical names."""
        return parameters(self.option, self.max_tokens, self.temperature, self.stop)


def parameters(option: list[str], max_tokens: int | None, temperature: float | None, stop: list[str]) -> dict[str, Any]:
    """Give the parameters of a model under their canonical names; an option of its own goes before KEY=VALUE."""
    named = {"max_tokens": max_tokens, "temperature": temperature, "stop": stop or None}
    given = dict(_pair(pair) for pair in option)
    return {**given, **{name: value for name, value in named.items() if value is not None}}


def _pair(option: str) -> tuple[str, Any]:
    key, equals, value = option.partition("=")
    if not (key and equals):
        raise typer.BadParameter(f"{option!r} is not KEY=VALUE", param_hint="--option")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """Give typer a flat signature for a command that takes groups of options as named tuples."""
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type[Any]] = {}
    # In Python 3.10, get_type_hints would wrap what has None for a default, and hide the option in it.
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        kind = parameter.annotation
        if hasattr(kind, "_fields"):
            groups[parameter.name] = kind
            parameters += _fields(kind)
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def flat(**values: Any) -> None:  # noqa: ANN401 - whatever the command takes
        command(**{name: _take(kind, values) for name, kind in groups.items()}, **values)

    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del flat.__wrapped__
    return flat


def _fields(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=group._field_defaults[name], annotation=hints[name]
        )
        for name in group._fields
    ]


def _take(group: type[Any], values: dict[str, Any]) -> Any:  # noqa: ANN401 - an instance of the group
    return group(*(values.pop(name) for name in group._fields))


def given(options: CallOptions) -> Mapping[str, Any]:
    """Give the options that were named on the command line or in the environment."""
    return {name: value for name, value in options._asdict().items() if value is not None}
