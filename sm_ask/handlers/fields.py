"""The keys of a handler without code, each checked; paths into JSON are JMESPath, imported only for those."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sm_ask import slips
from sm_ask.errors import ConfigError, UnusableError
from sm_ask.handlers.params import CANONICAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LINE = r"[\x20-\x7e]{1,1000}"
_LONGEST_PATH = 2000
#: What jmespath raises on records that do not fit, besides its own errors, which are ValueErrors.
_FAULTS = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)


class Fields:
    """A mapping of a profiles file; ``where`` is what errors call it."""

    def __init__(self, values: Any, where: str, known: tuple[str, ...]) -> None:  # noqa: ANN401 - as the file has it
        """Refuse what is no mapping, and keys that nobody reads."""
        if not isinstance(values, dict):
            raise ConfigError(f"{where} must hold keys and values")
        for key in values:
            if key not in known:
                near = slips.meant(str(key), known)
                meant = f"did you mean {near}?" if near else f"the keys are {', '.join(known)}"
                raise ConfigError(f"{where}: unknown key {str(key)[:60]!r}", hint=meant)
        self.where = where
        self.values: Mapping[str, Any] = {key: value for key, value in values.items() if value is not None}

    def inner(self, key: str, known: tuple[str, ...]) -> Fields:
        """Give the mapping under a key."""
        return Fields(self.values[key], f"{self.where}.{key}", known)

    def line(self, key: str) -> str | None:
        """Give a text that can stand in an HTTP header."""
        value = self.values.get(key)
        if value is None or (isinstance(value, str) and re.fullmatch(_LINE, value)):
            return value
        raise ConfigError(f"{self.where}.{key} must be one line of ASCII text")

    def flag(self, key: str) -> bool:
        """Give true or false."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise ConfigError(f"{self.where}.{key} must be true or false")
        return value

    def choice(self, key: str, known: tuple[str, ...]) -> str:
        """Give one of the known words; the first where there is none."""
        value = self.values.get(key, known[0])
        if value not in known:
            raise ConfigError(f"{self.where}.{key} must be one of {', '.join(known)}")
        return str(value)

    def renames(self, key: str) -> dict[str, tuple[str, ...]]:
        """Give the container's names of canonical parameters."""
        if key not in self.values:
            return {}
        names = self.inner(key, CANONICAL)
        for name, own in names.values.items():
            if not (isinstance(own, str) and own):
                raise ConfigError(f"{names.where}.{name} must be the container's name of the parameter")
        return {name: (own,) for name, own in names.values.items()}

    def path(self, key: str) -> Path | None:
        """Give a path into JSON."""
        value = self.values.get(key)
        return None if value is None else Path(value, f"{self.where}.{key}")


class Path:
    """A JMESPath expression, checked."""

    def __init__(self, expression: Any, where: str) -> None:  # noqa: ANN401 - as the file has it
        """Compile it; ConfigError says what is wrong."""
        import jmespath  # type: ignore[import-untyped]  # 10 ms that only these handlers cost
        from jmespath.functions import Functions  # type: ignore[import-untyped]

        if not isinstance(expression, str) or len(expression) > _LONGEST_PATH:
            raise ConfigError(f'{where} must be a JMESPath expression, such as "[0].generated_text"')
        self.text = expression
        self._where = where
        try:
            self._compiled = jmespath.compile(expression)
        except (ValueError, RecursionError) as error:
            said = " ".join(str(error).split("\n")[0].split())
            raise ConfigError(f"{where} is no JMESPath expression: {said}") from error
        for name in _functions(self._compiled.parsed):
            if name not in Functions.FUNCTION_TABLE:
                near = slips.meant(name, Functions.FUNCTION_TABLE)
                hint = f"did you mean {near}()?" if near else None
                raise ConfigError(f"{where}: JMESPath has no function {name}()", hint=hint)

    def of(self, record: Any) -> Any:  # noqa: ANN401 - JSON
        """Give what stands there, None if nothing does."""
        try:
            return self._compiled.search(record)
        except _FAULTS as error:
            raise UnusableError(f"{self._where} does not fit the response: {type(error).__name__}: {error}") from error


def _functions(node: Any) -> Iterator[str]:  # noqa: ANN401 - jmespath has no types
    left = [node]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            if part.get("type") == "function_expression":
                yield part["value"]
            left += part.values()
        elif isinstance(part, (list, tuple)):
            left += part
