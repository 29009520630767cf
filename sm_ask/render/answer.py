"""The events of a question → what is shown of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sm_ask.ask import Pause
from sm_ask.chat import Answer, Text, ToolCall
from sm_ask.envelope import envelope
from sm_ask.errors import IncompleteError, SmAskError, UnusableError
from sm_ask.render import output

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from sm_ask.ask import Event
    from sm_ask.envelope import Asked
    from sm_ask.render.output import Output


class Style(NamedTuple):
    """How to show an answer."""

    as_json: bool = False
    markdown: bool = False
    usage: bool = False
    require_complete: bool = False


class Sink(Protocol):
    """Takes the answer's text as it comes."""

    def text(self, text: str) -> None:
        """Take a piece."""

    def end_line(self) -> None:
        """Take the end, which may come too early."""


class _Kept:
    """Keeps the text for the JSON, which is written in one piece."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def text(self, text: str) -> None:
        self.pieces.append(text)

    def end_line(self) -> None:
        pass


def show(events: Iterable[Event], out: Output, style: Style, asked: Callable[[], Asked]) -> None:
    """Show an answer while it comes, then what is worth knowing of it.

    Raises IncompleteError for an answer cut by its token limit where a complete one is required.
    """
    conclude(follow(events, out, style, asked), out, style, asked())


def follow(events: Iterable[Event], out: Output, style: Style, asked: Callable[[], Asked]) -> Answer:
    """Show an answer's text while it comes, and give the answer; for JSON, show only what came before an error."""
    kept = _Kept()
    sink = kept if style.as_json else _sink(out, style)
    try:
        with contextlib.closing(_answer(events, sink, out)) as answers:
            return next(answers)
    except BaseException as ended:
        if kept.pieces:
            error = ended if isinstance(ended, SmAskError) else IncompleteError("the answer was interrupted")
            out.json(envelope("".join(kept.pieces), None, asked(), error))
        raise


def whole(answer: Answer, out: Output, style: Style) -> None:
    """Show the text of an answer that is there already; for JSON, nothing yet."""
    if not style.as_json:
        sink = _sink(out, style)
        sink.text(answer.text)
        sink.end_line()


def conclude(answer: Answer, out: Output, style: Style, asked: Asked) -> None:
    """Show what is worth knowing of an answer whose text has been shown, and for JSON all of it.

    Raises IncompleteError as ``show`` does.
    """
    cut = _cut(answer)
    if style.as_json:
        out.json(envelope(answer.text, answer, asked, cut if style.require_complete else None))
    if style.usage:
        output.note(usage_line(answer))
    if cut and style.require_complete:
        raise cut
    if cut:
        output.note("; ".join(filter(None, (cut.message, cut.hint))))


def _sink(out: Output, style: Style) -> Sink:
    if style.markdown and out.is_terminal:
        from sm_ask.render.markdown import Markdown  # rich takes 150 ms

        return Markdown(out)
    return out


def _answer(events: Iterable[Event], sink: Sink, out: Output) -> Generator[Answer, None, None]:
    """Pass the events on, and yield the last one; whatever ends them, the lines that are open are ended."""
    pauses, aside = _Pauses(), output.Aside()
    try:
        for event in events:
            if isinstance(event, Pause):
                pauses.show(event)
                continue
            pauses.over()
            if isinstance(event, Answer):
                yield event
                return
            _pass_on(event, sink, out, aside)
    finally:
        _give_up(events)
        pauses.over()
        aside.end_line()
        sink.end_line()
    raise UnusableError("the question ended without an answer")


def _give_up(events: Iterable[Event]) -> None:
    """Close what is still being read: an error keeps it alive to the end of the process, where a lock may be lost."""
    close = getattr(events, "close", None)
    if close is not None:
        close()


def _pass_on(event: Text | ToolCall | bytes, sink: Sink, out: Output, aside: output.Aside) -> None:
    if isinstance(event, bytes):
        out.raw(event)
    elif isinstance(event, ToolCall):
        # Nothing here offers tools.
        return
    elif event.reasoning:
        aside.text(event.text)
    else:
        aside.end_line()
        sink.text(event.text)


class _Pauses:
    """Tells once of each pause, and on a terminal counts it down."""

    def __init__(self) -> None:
        self.error: SmAskError | None = None

    def show(self, pause: Pause) -> None:
        # The seconds come first, as a narrow terminal cuts the end.
        text = f"trying again in {max(1, round(pause.seconds))} s: {pause.error.message}"
        told, self.error = self.error, pause.error
        if output.is_watched():
            output.countdown(text)
        elif told is not pause.error:
            output.note(text)

    def over(self) -> None:
        if self.error is not None and output.is_watched():
            output.countdown("")
        self.error = None


def _cut(answer: Answer) -> IncompleteError | None:
    """Tell of an answer that its token limit, or the container's filter, cut."""
    if answer.finish_reason == "content_filter":
        return IncompleteError("the container's content filter ended the answer", request_id=answer.request_id)
    if answer.finish_reason != "length":
        return None
    tokens = answer.usage.output_tokens or 0
    about = "about " if answer.usage.estimated else ""
    return IncompleteError(
        f"the answer stopped at the token limit, after {about}{tokens:,} token{'s' * (tokens != 1)}",
        hint=f"raise the limit with --max-tokens {max(2 * tokens, 1024)}",
        request_id=answer.request_id,
    )


def usage_line(answer: Answer) -> str:
    """Give tokens and times in one line; ``~`` marks an estimate."""
    usage, timing = answer.usage, answer.timing
    mark = "~" if usage.estimated else ""
    parts = [f"in {mark}{usage.input_tokens} tok", f"out {mark}{usage.output_tokens} tok"]
    if timing.first_token_s is not None:
        parts.append(f"first token {timing.first_token_s:.2f} s")
        generating = timing.total_s - timing.first_token_s
        if generating > 0.01 and usage.output_tokens:  # noqa: PLR2004 - below that the answer came whole
            parts.append(f"{mark}{usage.output_tokens / generating:.0f} tok/s")
    return " · ".join([*parts, f"{timing.total_s:.1f} s"])
