"""The strict YAML reader: what it takes, what it refuses and where, and that it never does anything else."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_ask import strict_yaml
from sm_ask.errors import ConfigError

CANARY = "AKIACANARYCANARY"


def read(text: str | bytes) -> Any:
    """Read YAML as plain values."""
    data = text if isinstance(text, bytes) else text.encode()
    return strict_yaml.read(data, "f.yaml").plain()


def refusal(text: str | bytes) -> str:
    """Say why a YAML text is refused."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert caught.value.__context__ is None, "a chained exception would carry the file's text"
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("# nothing", None),
        ("0", 0),
        ("-17", -17),
        ("1.5", 1.5),
        ("-2e3", -2000.0),
        ("123456789012", "123456789012"),
        ("012345670123", "012345670123"),
        ("12345678901", 12345678901),
        ("1234567890123", 1234567890123),
        ("007", "007"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("+1", "+1"),
        (".5", ".5"),
        (".inf", ".inf"),
        ("no", "no"),
        ("on", "on"),
        ("True", True),
        ("12:30", "12:30"),
        ("2024-01-31", "2024-01-31"),
        ('"1"', "1"),
        ("'true'", "true"),
        ('""', ""),
        ('"<<"', "<<"),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_a_scalar_means_what_json_would_mean_and_everything_else_is_text(text: str, value: object) -> None:
    """C8: no octal, no sexagesimal, no yes and no; an account id stays what it is."""
    found = read(text)
    assert found == value
    assert type(found) is type(value)


def test_keys_are_the_text_they_are_written_as() -> None:
    assert read("{1: a, 012345670123: b, true: c, '': d}") == {"1": "a", "012345670123": "b", "true": "c", "": "d"}


def test_a_value_has_the_place_of_its_key_and_an_item_its_own() -> None:
    root = strict_yaml.read(b"a:\n  b:\n    [1,\n  2]\n", "f.yaml")
    inner = root.fields("it")["a"].fields("it")["b"]
    assert str(inner.place.error("x")) == "f.yaml:2:3: x"
    assert isinstance(inner.value, tuple)
    assert inner.value[1].place == strict_yaml.Place("f.yaml", 4, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b\n\tc: d", "f.yaml:2:1: a tab cannot indent"),
        ("a: [1, 2", "a comma or a closing bracket is missing"),
        ("a: {b", "a comma or a closing bracket is missing"),
        ("a:\n  b: 'x", "f.yaml:2:6: a quote is opened here and never closed"),
        ("a: b: c", "f.yaml:1:5: a colon is not expected here"),
        ("a: @x", "f.yaml:1:4: a value cannot begin with this character"),
        ("a: %x", "f.yaml:1:4: a value cannot begin with this character"),
        ("a: 1\nb\nc: 2", "f.yaml:3:1: a colon is missing after this key"),
        ("- a\nb: 1", "f.yaml:2:1: this does not fit what stands above it"),
        ("a: 1\n- b", "f.yaml:2:1: this does not fit what stands above it"),
        ("a: ]", "f.yaml:1:4: a value is missing here"),
        ('a: "\\q"', "no escape that YAML knows"),
        ('a: "\\ud800"', "f.yaml:1:"),
        ('a: "\\U00110000"', "f.yaml"),
        ("%YAML 2.0\n--- a", "f.yaml:1:1: not valid YAML"),
    ],
)
def test_a_syntax_error_has_a_place_and_a_plain_reason(text: str, message: str) -> None:
    """C2: file, line and column."""
    assert message in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        f"a: {CANARY}\n\tb: 1",
        f"a: {CANARY}: 1",
        f"a: [{CANARY}",
        f"a: *{CANARY}",
        f"a: &{CANARY} b",
        f"a: !{CANARY} b",
        f"a: !{CANARY}!x b",
        f"%TAG !{CANARY}\n--- a",
        f"%{CANARY}",
        f'a: "{CANARY}',
        f'a: "\\{CANARY}"',
        f"a: |{CANARY}",
        f"a: 1\n{CANARY}\nb: 2",
        f"- a\n{CANARY}",
        f"a: @{CANARY}",
        f"{{a: 1}} {CANARY}",
        f"a: 1\n--- {CANARY}",
        f"a: {CANARY}\x00",
        f"? [{CANARY}]\n: 1",
        f"<<: {CANARY}",
    ],
)
def test_an_error_never_repeats_what_stands_in_the_file(text: str) -> None:
    """C2: a profiles file may hold a secret, and an error may end up in a log."""
    message = refusal(text)
    assert "CANARY" not in message
    assert message.startswith("f.yaml:")
    assert "CANARY" not in refusal(text.encode() + b"\xff")


def test_a_key_may_stand_once() -> None:
    """C4: the key and both lines."""
    assert refusal("a: 1\nb: 2\na: 3") == 'f.yaml:3:1: the key "a" stands here and in line 1'
    assert refusal("{1: a, '1': b}") == 'f.yaml:1:8: the key "1" stands here and in line 1'


def test_a_tag_is_refused(tmp_path: Any) -> None:
    """C5: nothing is constructed."""
    marker = tmp_path / "marker"
    message = refusal(f"a: !!python/object/apply:os.system ['touch {marker}']")
    assert message == "f.yaml:1:4: tags are not allowed"
    assert not marker.exists()
    assert "tags are not allowed" in refusal("a: !!str 1")
    assert "tags are not allowed" in refusal("a: ! 1")
    assert "tags are not allowed" in refusal("a: !x [1]")


ALIAS_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{','.join(['*' + old] * 9)}]}}\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("bomb", [ALIAS_BOMB, MERGE_BOMB])
def test_a_bomb_is_refused_where_its_first_anchor_stands(bomb: str) -> None:
    """C6: before anything is expanded."""
    start = time.process_time()
    assert refusal(bomb) == "f.yaml:1:4: anchors and aliases are not allowed"
    assert time.process_time() - start < 1


def test_an_alias_without_an_anchor_and_a_merge_key_are_refused() -> None:
    """C6."""
    assert refusal("a: *b") == "f.yaml:1:4: anchors and aliases are not allowed"
    assert refusal("a:\n  <<: {b: 1}") == "f.yaml:2:3: merge keys are not allowed"


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? ", "[a: ", "{a: ", '{"a": '])
def test_deep_nesting_is_refused(opening: str) -> None:
    """C7: 5,000 levels, and no RecursionError."""
    assert "nested too deeply" in refusal(opening * 5000)


def test_twenty_levels_are_not_deep() -> None:
    assert read("[" * 20 + "]" * 20) is not None
    assert "nested too deeply" in refusal("[" * 21 + "]" * 21)


def test_latin_1_is_refused_with_the_byte_s_offset() -> None:
    """C9."""
    assert refusal("a: 1\nb: café".encode("latin-1")) == "f.yaml:2:7: not UTF-8: the byte at offset 11"
    assert "UTF-16-LE: the byte at offset 4" in refusal("\ufeffa".encode("utf-16-le") + b"\x00\xd8")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_with_a_byte_order_mark_is_accepted(encoding: str) -> None:
    """C9."""
    assert read("ключ: café 😀".encode(encoding)) == {"ключ": "café 😀"}
    assert read(b"\xfe\xff" + "a: é".encode("utf-16-be")) == {"a": "é"}


@pytest.mark.parametrize("character", ["\0", "\x1b", "\x7f", "\x9b", "\ufffe"])
def test_a_control_character_is_refused(character: str) -> None:
    """C9: NUL and its like, with the place."""
    assert (
        refusal(f"a: 1\nb: x{character}") == f"f.yaml:2:5: the control character U+{ord(character):04X} is not allowed"
    )


def test_there_is_one_document() -> None:
    assert refusal("a: 1\n---\nb: 2") == "f.yaml:2:1: only one document is allowed"
    assert refusal("a: 1\n...\nb: 2") == "f.yaml:3:1: only one document is allowed"
    assert read("---\na: 1\n...\n") == {"a": 1}


def test_size_is_limited() -> None:
    assert "more than 1,000,000 bytes" in refusal(b"#" * 1_000_001)
    assert read(b"#" * 1_000_000) is None


def test_numbers_that_are_none_are_refused() -> None:
    assert refusal("a: " + "1" * 100_000).startswith("f.yaml:1:4: a number of more than 300 digits")
    assert refusal("a: 1e999").startswith("f.yaml:1:4: the number is too large")


def test_keys_are_text() -> None:
    assert refusal("? [a]\n: 1").startswith("f.yaml:1:3: a key must be text")
    assert refusal("? \n: 1") == "f.yaml:1:2: a key is missing here"


def test_a_long_key_is_shortened_in_an_error() -> None:
    key = "k" * 500
    assert len(refusal(f"{key}: 1\n{key}: 2")) < 150


def test_what_is_no_mapping_has_no_fields() -> None:
    for text, kind in [("[]", "a list"), ("x", "text"), ("1", "a number"), ("true", "true or false")]:
        with pytest.raises(ConfigError, match=f"^f:1:1: it must hold keys and values, not {kind}$"):
            strict_yaml.read(text.encode(), "f").fields("it")
    assert strict_yaml.read(b"", "f").fields("it") == {}


def loads_or_is_refused(data: bytes) -> None:
    """Read, and let nothing pass but a value that JSON can hold or a ConfigError."""
    start = time.process_time()
    try:
        value, fault = strict_yaml.read(data, "f.yaml").plain(), "f.yaml:"
    except ConfigError as error:
        value, fault = None, error.message
    assert time.process_time() - start < 1
    assert fault.startswith("f.yaml:")
    json.dumps(value, allow_nan=False).encode()


@settings(deadline=None)
@given(st.text())
def test_any_text_loads_or_is_refused(text: str) -> None:
    loads_or_is_refused(text.encode("utf-8", "surrogatepass"))


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_load_or_are_refused(data: bytes) -> None:
    loads_or_is_refused(data)


TOKENS = [*"[]{},:?-#&*!|>%@`'\"\\~<. \n\t\r\0", ": ", "- ", "\n  ", "<<", "---", "...", "a", "1", "é", "\\u", "\u2028"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=60).map("".join))
def test_anything_like_yaml_loads_or_is_refused(text: str) -> None:
    loads_or_is_refused(text.encode())


def ambiguous(value: object) -> bool:
    """Tell whether a number looks like an account id."""
    return isinstance(value, int) and 10**11 <= value < 10**12


TEXTS = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=50)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers().filter(lambda number: not ambiguous(number))
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda values: st.lists(values, max_size=5) | st.dictionaries(TEXTS, values, max_size=5),
    max_leaves=15,
)


@settings(deadline=None)
@given(VALUES)
def test_json_means_the_same_as_yaml(value: object) -> None:
    assert read(json.dumps(value)) == value


@settings(deadline=None)
@given(st.text())
def test_what_is_quoted_reads_as_it_was(text: str) -> None:
    assert read(strict_yaml.quoted(text)) == text


WITHOUT_LIBYAML = """
import sys
sys.modules["yaml._yaml"] = None
import yaml
assert not yaml.__with_libyaml__
from sm_ask import strict_yaml
for text in sys.stdin.read().split("\\0"):
    try:
        print(ascii(strict_yaml.read(text.encode(), "f.yaml").plain()))
    except strict_yaml.ConfigError as error:
        print(ascii(error.message))
"""


def test_without_libyaml_the_results_are_the_same() -> None:
    texts = ["a: 1", "é: [b, c]", "a: &x 1", "a: *x", "a: !x 1", "a: ! 1", "<<: 1", "a: 1\na: 2", "[" * 50, "a: b: c"]
    texts += ["a: b\n\tc: d", "a: 'x", "a: @x", "- a\nb: 1", "a: ]", "a: 1\n---\nb", "a: 1\n...\nb", "{: 1}"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBYAML],
        input="\0".join([*texts, 'a: "\\U00110000"', 'a: "\\ud800"']).encode(),
        capture_output=True,
        check=True,
    )
    *lines, beyond, half = done.stdout.decode().splitlines()
    assert lines == [ascii(outcome(text)) for text in texts]
    assert "f.yaml: an escape in quotes names no character" in beyond
    assert "f.yaml:1:4: half of a surrogate pair" in half


def outcome(text: str) -> object:
    """Give the value of a text, or the reason why it has none."""
    try:
        return read(text)
    except ConfigError as error:
        return error.message
