"""profiles.yaml: where it is looked for, what it may hold, and what is said when it is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sm_ask import strict_yaml
from sm_ask.errors import ConfigError
from sm_ask.profiles import LOCAL, Profile, Profiles, load, location
from sm_ask.profiles.first import write_first
from sm_ask.profiles.keys import FILE_KEYS, PROFILE_KEYS, Keys

EXAMPLE = Path(__file__).parent.parent / "profiles.example.yaml"
POSIX = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a profiles file that is not there yet."""
    return tmp_path / "profiles.yaml"


def loaded(path: Path, text: str | bytes) -> Profiles:
    """Load a profiles file of that text."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, required=True)


def refusal(path: Path, text: str | bytes) -> ConfigError:
    """Give the error of a profiles file of that text."""
    with pytest.raises(ConfigError) as caught:
        chosen(loaded(path, text))
    return caught.value


def chosen(found: Profiles) -> list[Profile]:
    """Choose one profile after the other."""
    return [found.choose(name) for name in (*found.profiles, *found.faults)]


def said(path: Path, text: str | bytes) -> str:
    """Give the error's message from the line on; it must begin with the file."""
    message = refusal(path, text).message
    assert message.startswith(f"{path}:")
    return message.removeprefix(f"{path}:")


# What a file may hold


def names(keys: Keys, before: str = "") -> Iterator[str]:
    """List the paths of all keys."""
    for key, inner in keys.items():
        if isinstance(inner, Mapping):
            yield from names(inner, f"{before}{key}.")
        else:
            yield before + key


def written(node: strict_yaml.Node, keys: Keys, before: str = "") -> Iterator[str]:
    """List the paths of the keys that a file uses."""
    for key, value in node.fields("it").items():
        inner = keys[key]
        if isinstance(inner, Mapping):
            yield from written(value, inner, f"{before}{key}.")
        else:
            yield before + key


def test_the_example_loads_and_shows_every_key() -> None:
    found = load(EXAMPLE, required=True)
    assert found.default in found.profiles
    root = strict_yaml.read(EXAMPLE.read_bytes(), "example")
    examples = root.fields("it")["profiles"].fields("it").values()
    assert {name for node in examples for name in written(node, PROFILE_KEYS)} == set(names(PROFILE_KEYS))
    assert set(root.fields("it")) == set(FILE_KEYS)


def test_every_key_is_a_field_and_every_field_a_key() -> None:
    leaves = {name.rpartition(".")[2] for name in names(PROFILE_KEYS)}
    assert leaves | {"name"} == set(Profile._fields)


def test_a_profile_has_its_settings_and_none_else(path: Path) -> None:
    text = """\
default: full
profiles:
  empty:
  full:
    endpoint: e
    region: us-west-2
    handler: tgi
    params: {max_tokens: 5, stop: ["a", b], nested: {x: null, y: 1.5}, id: 123456789012}
    system: |
      One.
      Two.
    credentials: {aws_profile: 012345670123}
    endpoint_url: http://127.0.0.1:1
    inference_component: ic
    target_variant: v
    target_model: m
    target_container: c
    custom_attributes: a=b
    session_id: "1"
    timeout: 1.5
    idle_timeout: 30
    retries: 0
"""
    found = loaded(path, text)
    assert found.path == path
    assert found.profiles["empty"] == Profile("empty")
    assert found.choose(None) == Profile(
        name="full",
        endpoint="e",
        region="us-west-2",
        handler="tgi",
        params={"max_tokens": 5, "stop": ["a", "b"], "nested": {"x": None, "y": 1.5}, "id": "123456789012"},
        system="One.\nTwo.\n",
        aws_profile="012345670123",
        endpoint_url="http://127.0.0.1:1",
        inference_component="ic",
        target_variant="v",
        target_model="m",
        target_container="c",
        custom_attributes="a=b",
        session_id="1",
        timeout=1.5,
        idle_timeout=30.0,
        retries=0,
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "profiles:\n", "default:\nprofiles: {}\n", "---\n"])
def test_a_file_may_hold_nothing(path: Path, text: str) -> None:
    assert loaded(path, text) == Profiles(path)


def test_a_key_without_a_value_says_nothing(path: Path) -> None:
    text = "profiles: {a: {" + ", ".join(f"{key}: null" for key in PROFILE_KEYS) + "}}"
    assert loaded(path, text).profiles["a"] == Profile("a")


# The rows of the fault matrix


def test_a_missing_file_is_an_error_where_it_is_required(path: Path) -> None:
    """C1: with the path."""
    with pytest.raises(ConfigError, match="No such file") as caught:
        load(path, required=True)
    assert str(path) in caught.value.message
    assert caught.value.code == 3
    assert load(path, required=False) == Profiles() == load(path / "below" / "it", required=False)


def test_a_syntax_error_names_file_line_and_column_and_nothing_of_the_content(path: Path) -> None:
    """C2."""
    error = refusal(path, "profiles:\n  a:\n    session_id: s3cret\n\tregion: x\n")
    assert error.message == f"{path}:4:1: a tab cannot indent: use spaces"
    error = refusal(path, "profiles:\n  a: {session_id: s3cret, s3cret: [}\n")
    assert error.message.startswith(f"{path}:2:")
    assert "s3cret" not in f"{error.message} {error.hint}"


def test_an_unknown_key_is_named_with_the_nearest_one(path: Path) -> None:
    """C3."""
    error = refusal(path, "profiles:\n  llama:\n    region: x\n    endpont: y\n")
    assert error.message == f'{path}:4:5: unknown key "endpont" in profile "llama"; did you mean "endpoint"?'
    assert error.hint is not None
    assert "target_variant" in error.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profile: {}", '1:1: unknown key "profile" in the file; did you mean "profiles"?'),
        ("endpoint: x", '1:1: unknown key "endpoint" in the file'),
        ("profiles: {a: {aws_profile: x}}", 'in profile "a"; did you mean "credentials.aws_profile"?'),
        ("profiles: {a: {credentials: {profile: x}}}", '"profile" in "credentials" of profile "a"; did you mean'),
        ("profiles: {a: {expect_acount: 123456789012}}", '1:16: unknown key "expect_acount"'),
        ("profiles: {a: {credentials: {assume_role: {role: x}}}}", 'unknown key "role" in assume_role'),
        ("presets: {}", '1:1: unknown key "presets"'),
    ],
)
def test_unknown_keys_are_found_on_every_level(path: Path, text: str, message: str) -> None:
    """C3."""
    assert message in said(path, text)


def test_a_key_or_a_profile_that_stands_twice_is_named_with_both_lines(path: Path) -> None:
    """C4."""
    text = "profiles:\n  a:\n    region: x\n    retries: 1\n    region: y\n"
    assert said(path, text) == '5:5: the key "region" stands here and in line 3'
    assert said(path, "profiles:\n  a:\n  a:\n") == '3:3: the key "a" stands here and in line 2'


def test_a_tag_constructs_nothing(path: Path, tmp_path: Path) -> None:
    """C5."""
    marker = tmp_path / "marker"
    text = f"profiles:\n  a: !!python/object/apply:pathlib.Path.touch [{marker}]\n"
    assert said(path, text) == "2:6: tags are not allowed"
    assert not marker.exists()


@pytest.mark.parametrize("again", ["[*a,*a,*a,*a,*a,*a,*a,*a,*a]", "{<<: [*a,*a,*a,*a,*a,*a,*a,*a,*a]}"])
def test_bombs_of_aliases_and_merges_are_refused_at_once(path: Path, again: str) -> None:
    """C6."""
    lines = [
        "a: &a {x: 1}",
        *(f"{new}: &{new} {again.replace('a', old)}" for old, new in zip("abcdef", "bcdefg", strict=True)),
    ]
    start = time.process_time()
    assert "aliases are not allowed" in said(path, "\n".join(lines))
    assert time.process_time() - start < 1


def test_nesting_has_an_end(path: Path) -> None:
    """C7."""
    assert "nested too deeply" in said(path, "profiles: {a: {params: {x: " + "[" * 5000)


def test_an_unquoted_account_id_stays_what_it_is(path: Path) -> None:
    """C8: never the octal number 1402433619."""
    found = loaded(path, "profiles: {a: {session_id: 012345670123, endpoint: 123456789012}}").profiles["a"]
    assert (found.session_id, found.endpoint) == ("012345670123", "123456789012")


def test_latin_1_is_refused_and_a_byte_order_mark_is_not(path: Path) -> None:
    """C9: with the byte's offset."""
    text = "profiles: {a: {system: café}}"
    assert said(path, text.encode("latin-1")) == "1:27: not UTF-8: the byte at offset 26"
    for encoding in ("utf-8-sig", "utf-16"):
        assert loaded(path, text.encode(encoding)).profiles["a"].system == "café"
    assert "control character U+0000" in said(path, b"default: \0")


@POSIX
@pytest.mark.parametrize("mode", [0o664, 0o602, 0o666])
def test_a_file_that_others_may_write_is_worth_a_warning(path: Path, mode: int) -> None:
    """C14: path and mode."""
    path.touch()
    path.chmod(mode)
    (warning,) = load(path, required=True).warnings
    assert str(path) in warning
    assert f"{mode:04o}" in warning


@POSIX
def test_a_file_of_one_s_own_and_a_device_are_worth_no_warning(path: Path) -> None:
    """C14."""
    path.touch()
    path.chmod(0o644)
    assert load(path, required=True).warnings == ()
    assert load(Path(os.devnull), required=True) == Profiles(Path(os.devnull))


# What is said of a wrong value


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("endpoint: 123", "endpoint must be text, not a number"),
        ("region: true", "region must be text, not true or false"),
        ("handler: [a]", "handler must be text, not a list"),
        ("system: {a: b}", "system must be text, not keys and values"),
        ("endpoint: ''", "endpoint must be text, not nothing"),
        ("endpoint: |\n      x\n", "endpoint must be one line of text"),
        ('custom_attributes: "a\\r\\nb: c"', "custom_attributes must be one line of text"),
        ("retries: 1.5", "retries must be a whole number, 0 or more"),
        ("retries: -1", "retries must be a whole number"),
        ("retries: true", "retries must be a whole number"),
        ("retries: '1'", "retries must be a whole number"),
        ("timeout: 0", "timeout must be a number of seconds, above 0"),
        ("timeout: -1", "timeout must be a number of seconds"),
        ("timeout: true", "timeout must be a number of seconds"),
        ("timeout: 5m", "timeout must be a number of seconds"),
        ("timeout: 1e300", "timeout must be a number of seconds"),
        ("idle_timeout: .inf", "idle_timeout must be a number of seconds"),
        ("params: [a]", "params must hold keys and values, not a list"),
        ("params: 1", "params must hold keys and values, not a number"),
        ("credentials: x", '"credentials" of profile "a" must hold keys and values, not text'),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_line(path: Path, setting: str, message: str) -> None:
    found = said(path, f"profiles:\n  a:\n    {setting}")
    assert found.startswith("3:5: ")
    assert message in found


def test_a_number_where_a_text_is_wanted_is_to_be_quoted(path: Path) -> None:
    error = refusal(path, "profiles:\n  a:\n    endpoint: 123")
    assert error.message.startswith(f"{path}:3:5: ")
    assert error.hint == 'write endpoint: "…", with the quotes'


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ("handler: opneai-chat", '3:5: there is no content handler "opneai-chat"', "did you mean openai-chat?"),
        ("handler: our", '3:5: there is no content handler "our"', "did you mean ours?"),
        ("handler: nova\n    params:\n      max_token: 5", "5:7: the container behind", "leave it out"),
        ("handler: tgi\n    params: {n: 2}", "4:14: the container behind", "leave it out"),
        ("params: {max_tokens: 5}\n    handler: text", "3:14: the handler text sends the text alone", "leave it out"),
    ],
)
def test_a_handler_and_what_it_is_known_to_refuse_are_found_in_the_file(
    path: Path, settings: str, message: str, hint: str
) -> None:
    error = refusal(path, f"profiles:\n  a:\n    {settings}\nhandlers: {{ours: {{request: x}}}}")
    assert error.message.startswith(f"{path}:{message}")
    assert str(error.hint).startswith(hint)


@pytest.mark.parametrize(
    "settings",
    [
        "handler: auto, params: {n: 1, top_k: 5}",
        "handler: ours, params: {anything: 5}",
        "handler: 'a_package.handlers:ContentHandler', params: {seed: 1}",
        "handler: /home/ana/handlers.py:H",
        "handler: openai-chat, params: {min_tokens: 5, chat_template_kwargs: {enable_thinking: false}}",
        "handler: tgi, params: {top_n_tokens: 5, decoder_input_details: true}",
        "handler: text, params: {temperature: null}",
    ],
)
def test_what_a_handler_may_know_is_nobody_s_fault(path: Path, settings: str) -> None:
    found = loaded(path, f"profiles: {{a: {{{settings}}}}}\nhandlers: {{ours: {{request: x}}}}")
    assert (found.told(found.choose("a")), found.faults) == ((), {})


def test_what_looks_like_a_slip_is_told_where_the_profile_is_used(path: Path) -> None:
    found = loaded(path, "profiles: {a: {params: {max_token: 5}}, b: {}}")
    assert found.choose("a").params == {"max_token": 5}
    assert found.told(found.choose("a")) == (
        f'{path}:1:25: "max_token" is passed on to the container as it is; did you mean "max_tokens"?',
    )
    assert found.told(found.choose("b")) == found.told(found.choose(LOCAL)) == ()


def test_a_fault_leaves_the_other_profiles_alone(path: Path) -> None:
    found = loaded(path, "default: bad\nprofiles: {bad: {endpont: x}, good: {endpoint: y}}")
    assert found.choose("good") == Profile("good", endpoint="y")
    assert found.choose(LOCAL) == Profile(LOCAL)
    assert found.warnings == (f'the profile "bad" cannot be used: {found.faults["bad"]}',)
    for name in (None, "bad"):
        with pytest.raises(ConfigError, match='did you mean "endpoint"'):
            found.choose(name)
    with pytest.raises(ConfigError, match='did you mean "bad"'):
        found.choose("bat")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "1:1: the file must hold keys and values, not a list"),
        ("llama", "1:1: the file must hold keys and values, not text"),
        ("profiles: llama", "1:1: profiles must hold keys and values, not text"),
        ("profiles: {a: b}", '1:12: profile "a" must hold keys and values, not text'),
        ("default: 1", "1:1: default must be text, not a number"),
        ("profiles: {local: {}}", '1:12: the profile name "local" is reserved'),
        ("profiles:\n  init:\n", '2:3: the profile name "init" is reserved'),
        ("profiles: {'': {}}", '1:12: the profile name "" must be one line'),
        ('profiles: {"a\\nb": {}}', "1:12: the profile name"),
        ("profiles: {llama: {}}\ndefault: lama", '2:1: the default, "lama", is no profile; did you mean "llama"?'),
    ],
)
def test_the_shape_of_the_file_is_checked(path: Path, text: str, message: str) -> None:
    assert message in said(path, text)


def test_a_folder_is_no_profiles_file(tmp_path: Path) -> None:
    for required in (True, False):
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, required=required)
        assert caught.value.message.startswith(f"{tmp_path}: cannot be read")


@POSIX
@pytest.mark.skipif(hasattr(os, "getuid") and os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_an_error(path: Path) -> None:
    path.touch(mode=0)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load(path, required=False)


# Choosing


def test_the_profile_is_the_named_one_else_the_default_else_an_empty_one(path: Path) -> None:
    found = loaded(path, "default: a\nprofiles: {a: {region: x}, b: {}}")
    assert found.choose("b") == Profile("b")
    assert found.choose(None) == found.choose("") == Profile("a", region="x")
    assert Profiles().choose(None) == Profile(name="")
    assert loaded(path, "default: local").choose(None) == Profile(LOCAL)


def test_local_always_exists(path: Path) -> None:
    assert Profiles().choose("local") == loaded(path, "").choose("local") == Profile("local")
    assert LOCAL in load(EXAMPLE, required=True).profiles


def test_an_unknown_profile_is_named_with_close_ones_and_the_list(path: Path) -> None:
    found = loaded(path, "profiles: {llama-3: {}, mistral: {}}")
    with pytest.raises(ConfigError, match='no profile "lama-3"; did you mean "llama-3"') as caught:
        found.choose("lama-3")
    assert str(path) in caught.value.message
    assert caught.value.hint == "profiles: local, llama-3, mistral"
    with pytest.raises(ConfigError, match='no profiles file, and no profile "x"'):
        Profiles().choose("x")


# Where the file is


@pytest.mark.parametrize(
    ("environ", "platform", "place"),
    [
        ({"XDG_CONFIG_HOME": "xdg", "HOME": "home"}, "linux", "xdg"),
        ({"XDG_CONFIG_HOME": "xdg", "HOME": "home"}, "darwin", "xdg"),
        ({"XDG_CONFIG_HOME": "xdg", "APPDATA": "roaming"}, "win32", "xdg"),
        ({"HOME": "home"}, "linux", "home/.config"),
        ({"HOME": "home"}, "freebsd14", "home/.config"),
        ({"HOME": "home"}, "darwin", "home/Library/Application Support"),
        ({"APPDATA": "roaming", "USERPROFILE": "home"}, "win32", "roaming"),
        ({"USERPROFILE": "home"}, "win32", "home/AppData/Roaming"),
        ({"APPDATA": "roaming", "HOME": "home"}, "linux", "home/.config"),
    ],
)
def test_the_file_is_in_the_configuration_folder(
    tmp_path: Path, environ: dict[str, str], platform: str, place: str
) -> None:
    absolute = {name: str(tmp_path / folder) for name, folder in environ.items()}
    assert location(None, absolute, platform) == tmp_path / place / "sm-ask" / "profiles.yaml"


@pytest.mark.parametrize("chosen", ["", "relative", "./here", "~/config"])
def test_a_configuration_folder_that_is_not_absolute_is_ignored(tmp_path: Path, chosen: str) -> None:
    found = location(None, {"XDG_CONFIG_HOME": chosen, "HOME": str(tmp_path)}, "linux")
    assert found == tmp_path / ".config" / "sm-ask" / "profiles.yaml"


def test_an_explicit_file_goes_before_all_and_an_empty_name_is_none(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert location("mine.yaml", environ) == Path("mine.yaml")
    assert location("", environ) == location(None, environ) == tmp_path / "sm-ask" / "profiles.yaml"


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_without_a_home_the_file_is_never_in_the_working_directory(home: str | None) -> None:
    try:
        found = location(None, {} if home is None else {"HOME": home}, "linux")
    except ConfigError as error:
        found = Path(os.devnull) if "HOME" in error.message else Path()
    assert found.is_absolute()


def test_without_a_file_yaml_is_not_imported(path: Path) -> None:
    code = "import sys, pathlib; from sm_ask import profiles; profiles.load(pathlib.Path(sys.argv[1]), required=False)"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'yaml' not in sys.modules", str(path)], check=True)


# The first file


def test_the_first_file_loads(path: Path) -> None:
    write_first(path, endpoint="e", region="us-west-2", handler="tgi", aws_profile="dev", name="a")
    found = load(path, required=True)
    expected = Profile("a", endpoint="e", region="us-west-2", handler="tgi", aws_profile="dev")
    assert found.choose(None) == expected
    assert found.warnings == ()


def test_the_first_file_may_say_little(path: Path) -> None:
    write_first(path, endpoint="e", region=None, handler=None, aws_profile=None, name="a")
    assert load(path, required=True).choose(None) == Profile("a", endpoint="e")


@POSIX
def test_the_first_file_and_its_new_folders_are_the_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "x" / "y" / "profiles.yaml"
    write_first(path, endpoint="e", region=None, handler=None, aws_profile=None, name="a")
    assert [p.stat().st_mode & 0o777 for p in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]


def test_the_first_file_never_replaces_another(path: Path) -> None:
    path.write_text("# mine\n")
    with pytest.raises(ConfigError, match="exists") as caught:
        write_first(path, endpoint="e", region=None, handler=None, aws_profile=None, name="a")
    assert str(path) in caught.value.message
    assert path.read_text() == "# mine\n"


def test_the_first_file_below_a_file_is_an_error(path: Path) -> None:
    path.touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_first(path / "x" / "y", endpoint="e", region=None, handler=None, aws_profile=None, name="a")


@pytest.mark.parametrize("name", ["", "local", "init", "a\nb", "n" * 101])
def test_the_first_file_takes_no_name_that_would_not_load(path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="the profile name"):
        write_first(path, endpoint="e", region=None, handler=None, aws_profile=None, name=name)
    assert not path.exists()


AWKWARD = st.text() | st.sampled_from(
    ["no", "012345670123", "a: b", "# x", "{x}", '"', "\\", "'", "*a", "é\u200b😀", "\udc80"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(AWKWARD, AWKWARD, st.none() | AWKWARD)
def test_the_first_file_says_what_it_was_given(path: Path, name: str, endpoint: str, region: str | None) -> None:
    path.unlink(missing_ok=True)
    try:
        write_first(path, endpoint=endpoint, region=region, handler=None, aws_profile=region, name=name)
    except ConfigError:
        assert not path.exists()
    else:
        expected = Profile(name, endpoint=endpoint, region=region, aws_profile=region)
        assert load(path, required=True).choose(None) == expected


# Nothing but profiles or a ConfigError

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
KEYS = st.sampled_from([*PROFILE_KEYS, *FILE_KEYS, "aws_profile", "local", "a", ""])
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
FILES = st.fixed_dictionaries({"profiles": st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES))}) | VALUES


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(FILES.map(str) | FILES.map(lambda value: str(value).replace("'", '"')) | st.text())
def test_any_file_loads_or_is_refused_with_its_place(path: Path, text: str) -> None:
    try:
        found, fault = loaded(path, text), None
        chosen(found)
    except ConfigError as error:
        found, fault = Profiles(), error.message
    assert LOCAL in found.profiles
    assert fault is None or re.match(r":\d+:\d+: ", fault.removeprefix(str(path)))
