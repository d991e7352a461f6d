"""Flags beat environment beats the settings file beats defaults; secrets stay where they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from archiver import settings
from archiver.account import API_URL, Account
from archiver.commands import options
from archiver.commands.options import option
from archiver.errors import AuthError, SettingsError

CANARY = "canary-77c1"
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a settings file, closed to others unless told otherwise."""

    def to_file(text: str, mode: int = 0o600, name: str = "my.toml") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    return to_file


@click.command()
@option("--downloads", type=options.PARALLEL, default=8)
@option("--limit-rate", type=options.RATE)
@option("--quiet", is_flag=True)
@options.destination()
@options.config
def probe(downloads: int, limit_rate: int | None, quiet: bool, to: str) -> None:
    """A command with some of the real options."""
    click.echo(f"{downloads} {limit_rate} {quiet} {to}")


def asked(*args: str, **env: str) -> str:
    """What the options come to."""
    clean = {name: None for name in os.environ if name.startswith("ARCHIVER_")}
    result = CliRunner().invoke(probe, args, env={**clean, **env}, standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.stdout.strip()


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))


def test_flags_beat_environment_beats_file_beats_defaults(write: Write) -> None:
    """The nearest wins, option by option."""
    path = write('downloads = 2\nlimit-rate = "20M"\nquiet = true\nto = "/file"')
    assert asked("--to", "/flag") == "8 None False /flag"
    assert asked("--config", path) == "2 20971520 True /file"
    env = {"ARCHIVER_DOWNLOADS": "3", "ARCHIVER_CONFIG": path}
    assert asked(**env) == "3 20971520 True /file"
    assert asked("--downloads", "4", "--to", "/flag", **env) == "4 20971520 True /flag"


def test_the_users_own_file_is_found_and_the_working_directorys_is_not(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's folder must not decide where the credentials go."""
    write("downloads = 5", name="archiver.toml")
    monkeypatch.chdir(tmp_path)
    assert asked("--to", "x") == "8 None False x"
    write("downloads = 6", name="config/archiver.toml")
    assert asked("--to", "x") == "6 None False x"
    write("downloads = 7", name="config/archiver/archiver.toml")
    assert asked("--to", "x") == "7 None False x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("downlods = 3", "unknown key 'downlods'"),
        ("zzz = 3", "unknown key 'zzz'"),
        ('downloads = "3"', "downloads must be a whole number"),
        ("downloads = true", "downloads must be a whole number"),
        ("quiet = 1", "quiet must be true or false"),
        ("to = 3", "to must be a text"),
        (f'client_secret = "{CANARY}', "not valid TOML"),
        ("[run]\ndownloads = 3", "unknown key 'run'"),
    ],
)
def test_a_wrong_file_is_refused_by_name(write: Write, text: str, said: str) -> None:
    """The message names file and key, and never a value."""
    path = write(text)
    with pytest.raises(SettingsError) as caught:
        settings.load(path)
    assert said in str(caught.value)
    assert path in str(caught.value)
    assert CANARY not in str(caught.value) + caught.value.hint


def test_the_nearest_key_is_offered(write: Write) -> None:
    """A slip of the finger is answered with what was meant."""
    with pytest.raises(SettingsError) as caught:
        settings.load(write("downlods = 3"))
    assert caught.value.hint == "Did you mean downloads?"


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    """A missing file that was asked for is an error, not silence."""
    with pytest.raises(SettingsError, match="cannot be read"):
        settings.load(str(tmp_path / "none.toml"))
    with pytest.raises(SettingsError, match="cannot be read"):
        settings.load(str(tmp_path))


def test_a_value_out_of_range_is_a_usage_error(write: Write) -> None:
    """The file's values pass the same checks as flags."""
    path = write("downloads = 0")
    with pytest.raises(click.BadParameter):
        asked("--to", "x", "--config", path)


def test_a_secret_that_others_can_read_is_refused(write: Write) -> None:
    """The settings file holds a secret only where it is closed; without one it may be open."""
    with pytest.raises(SettingsError, match="open to other users") as caught:
        settings.load(write(f'client_secret = "{CANARY}"', 0o640))
    assert CANARY not in str(caught.value)
    assert "chmod 600" in caught.value.hint
    settings.load(write("downloads = 3", 0o644))
    settings.load(write(f'client_secret = "{CANARY}"', 0o600))


def account(file: settings.SettingsFile, **env: str) -> Account:
    """The account of a file and an environment."""
    return settings.account(file, env, proxy=None, ca_file=None)[0]


def test_credentials_from_the_environment_beat_the_files(write: Write) -> None:
    """Also where they are of another kind: a token in the file is then not used."""
    text = f'client_id = "a"\nclient_secret = "{CANARY}"\naccess_token = "t"\napi_url = "https://x"'
    file = settings.load(write(text))
    assert account(file).access_token.reveal() == "t"
    mixed = account(file, ARCHIVER_CLIENT_ID="b", ARCHIVER_CLIENT_SECRET="s\n")
    assert (mixed.client_id, mixed.client_secret.reveal(), mixed.api_url) == ("b", "s", "https://x")
    assert not mixed.access_token
    assert CANARY not in repr(account(file)) + repr(file)


def test_secrets_from_files(write: Write) -> None:
    """A file's end of line is no part of the secret; one open to all is warned of, not refused."""
    path = write(f"{CANARY}\r\n", 0o444, "secret")
    env = {"ARCHIVER_CLIENT_SECRET_FILE": path, "ARCHIVER_CLIENT_ID": "me"}
    built, warnings = settings.account(settings.SettingsFile(), env, proxy="", ca_file=None)
    assert (built.client_secret.reveal(), built.proxy) == (CANARY, None)
    assert [path in warning and CANARY not in warning for warning in warnings] == [True]
    file = settings.load(write('client_secret_file = "secret"'))
    assert account(file).client_secret.reveal() == CANARY


@pytest.mark.parametrize("text", ["", "\n", "a\nb", "é", "\x00"])
def test_a_file_that_holds_no_secret_is_refused(write: Write, text: str) -> None:
    """Nothing that could break a request's head, and never quoted."""
    with pytest.raises(SettingsError) as caught:
        account(settings.SettingsFile(), ARCHIVER_ACCESS_TOKEN_FILE=write(text, name="token"))
    assert "ARCHIVER_ACCESS_TOKEN_FILE" in str(caught.value)


def test_a_missing_secret_file_is_refused(tmp_path: Path) -> None:
    """Silence would end in a refused sign-in, far from the cause."""
    with pytest.raises(SettingsError, match="cannot be read"):
        account(settings.SettingsFile(), ARCHIVER_CLIENT_SECRET_FILE=str(tmp_path / "none"))


def test_no_credentials_is_said_before_anything_is_tried() -> None:
    """An id alone is none."""
    built = account(settings.SettingsFile(), ARCHIVER_CLIENT_ID="me")
    assert built.api_url == API_URL
    with pytest.raises(AuthError):
        built.require_credentials()


@pytest.mark.parametrize(("text", "allowed"), [("1", True), ("no", False), ("", True)])
def test_insecure_http_is_switched_by_either(write: Write, text: str, allowed: bool) -> None:
    """The environment beats the file; an empty variable is none."""
    file = settings.load(write("allow_insecure_http = true"))
    assert account(file, ARCHIVER_ALLOW_INSECURE_HTTP=text).allow_insecure_http is allowed
    with pytest.raises(SettingsError):
        account(file, ARCHIVER_ALLOW_INSECURE_HTTP="perhaps")


def outlet(name: str, file: settings.SettingsFile, **env: str) -> str:
    """An address of somebody who is told of nights."""
    return settings.outlet(name, file, env)[0].reveal()


def test_whoever_is_told_of_nights_is_set_like_a_credential(write: Write, tmp_path: Path) -> None:
    """In the environment, in the settings file, or in a file of its own; several one a line."""
    (tmp_path / "ping").write_text(f"https://example.org/{CANARY}\n")
    (tmp_path / "ping").chmod(0o600)
    file = settings.load(write(f'ping_file = "ping"\nnotify = """json://a\n  ntfy://{CANARY}"""'))
    assert outlet("ping", file) == f"https://example.org/{CANARY}"
    assert outlet("notify", file) == f"json://a ntfy://{CANARY}"
    assert outlet("ping", file, ARCHIVER_PING="http://hc.lan/1") == "http://hc.lan/1"
    assert outlet("ping", settings.SettingsFile()) == ""
    assert CANARY not in repr(file)
    with pytest.raises(SettingsError, match="open to other users") as caught:
        settings.load(write(f'ping = "https://example.org/{CANARY}"', 0o644))
    assert CANARY not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    "address", [CANARY, f"ftp://{CANARY}", f"https://me:{CANARY}@a", f"https://a/{CANARY} \u00fc"]
)
def test_an_address_that_cannot_be_pinged_is_refused_without_it(address: str) -> None:
    """Whoever knows it could write to it."""
    with pytest.raises(SettingsError, match="ARCHIVER_PING") as caught:
        outlet("ping", settings.SettingsFile(), ARCHIVER_PING=address)
    assert CANARY not in str(caught.value) + caught.value.hint
