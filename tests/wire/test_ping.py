"""The ping address and Apprise, asked for real; the addresses are secrets."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Awaitable, Callable

import pytest

from archiver.account import Secret
from archiver.adapters.notify import Notifier
from archiver.adapters.ping import TRIES, Ping
from archiver.errors import SettingsError
from tests.wire.service import Service, listening

CANARY = "canary-ping-31c7"


def with_service(story: Callable[[Service], Awaitable[None]], *answers: int) -> Service:
    """Tell the story beside a service that gives these answers, then 200."""

    async def told() -> Service:
        async with listening(*answers) as service:
            await story(service)
            return service

    return asyncio.run(told())


def tell(service: Service, path: str, *words: str) -> Awaitable[str]:
    ping = Ping(Secret(service.url + path), None, None)
    return asyncio.to_thread(ping.tell, *words)


def test_a_beginning_a_good_end_and_a_failure_have_addresses_of_their_own() -> None:
    """As healthchecks.io has them; a query, as Uptime Kuma's, stays behind the path."""

    async def story(service: Service) -> None:
        for words in (("start",), (), ("fail", "Größe: 1\n" + "x" * 20_000)):
            assert await tell(service, f"/{CANARY}", *words) == ""
        assert await tell(service, f"/push/{CANARY}/?status=up", "fail") == ""

    asked = with_service(story).asked
    assert [(method, path) for method, path, _ in asked] == [
        ("GET", f"/{CANARY}/start"), ("GET", f"/{CANARY}"), ("POST", f"/{CANARY}/fail"),
        ("GET", f"/push/{CANARY}/fail?status=up"),
    ]  # fmt: skip
    assert asked[2][2].startswith("Größe: 1\n".encode())
    assert len(asked[2][2]) == 10_000


def test_it_is_asked_a_second_time_and_never_a_third() -> None:
    """One hiccup is forgiven; nobody is hammered."""

    async def story(service: Service) -> None:
        assert await tell(service, "/a") == ""
        service.answers += [500, 404, 500]
        assert await tell(service, "/b") == "it answers 404"

    asked = with_service(story, 503).asked
    assert [path for _, path, _ in asked] == ["/a"] * 2 + ["/b"] * TRIES


def test_it_leads_nobody_elsewhere() -> None:
    """A redirect is no answer: the address is a secret between two."""

    async def story(service: Service) -> None:
        assert await tell(service, "/a") == "it answers 302"

    assert {path for _, path, _ in with_service(story, 302, 302).asked} == {"/a"}


def test_what_the_surroundings_say_of_proxies_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program's proxy has no say; one of ours has."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def story(service: Service) -> None:
        assert await tell(service, "/a") == ""
        through = Ping(Secret("http://nowhere.invalid/b"), service.url, None)
        assert await asyncio.to_thread(through.tell) == ""

    asked = with_service(story).asked
    assert [path for _, path, _ in asked] == ["/a", "http://nowhere.invalid/b"]


def test_why_nobody_heard_is_said_without_the_address() -> None:
    """Whoever knows it could write to it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        for address in (
            f"http://127.0.0.1:{port}/{CANARY}", f"http://{CANARY}.invalid/",
            f"https://127.0.0.1:{port}/{CANARY}", f"http://127.0.0.1:{port}/{CANARY} x",
        ):  # fmt: skip
            why = Ping(Secret(address), None, None).tell()
            assert why
            assert CANARY not in why
            assert str(port) not in why


def test_one_that_keeps_silent_is_given_up() -> None:
    """It gets its seconds, and no more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{CANARY}"
        assert Ping(Secret(url), None, None).tell(timeout_s=0.05) == "it does not answer"


def test_messages_go_to_every_address() -> None:
    """Apprise sends them; one that did not take it is told."""

    async def story(service: Service) -> None:
        place = service.url.removeprefix("http://")
        both = Notifier(Secret(f"json://{place}/{CANARY}  form://{place}/b"))
        assert await asyncio.to_thread(both.tell, "a title", "<b> & ü", "failure") == ""
        service.answers.append(500)
        why = await asyncio.to_thread(both.tell, "a title", "text", "success")
        assert why == "not every service took it"

    asked = with_service(story).asked
    assert sorted(path for _, path, _ in asked[:2]) == ["/b", f"/{CANARY}"]
    assert any(b'"type": "failure"' in body and b"<b> &" in body for _, _, body in asked[:2])


def test_a_service_of_html_keeps_lines_and_signs() -> None:
    """Titles hold anything; mail is HTML unless told otherwise."""

    async def story(service: Service) -> None:
        html = Notifier(Secret(f"json{service.url.removeprefix('http')}/a?format=html"))
        assert await asyncio.to_thread(html.tell, "a title", "one\n<two> & three", "failure") == ""

    ((_, _, body),) = with_service(story).asked
    told = json.loads(body)["message"]
    assert "<br" in told
    assert "&lt;two&gt; &amp; three" in told.replace("&nbsp;", " ")


def test_an_address_that_apprise_does_not_know_is_named_by_its_number_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The address itself is a secret, for Apprise's own log as well."""
    with pytest.raises(SettingsError, match="address 2 is none") as caught:
        Notifier(Secret(f"json://localhost nonsense-{CANARY}://a"))
    assert CANARY not in str(caught.value) + caught.value.hint + caplog.text


def test_without_apprise_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra: whoever needs it is told its name."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SettingsError, match="not installed") as caught:
        Notifier(Secret("json://localhost"))
    assert "archiver[notify]" in caught.value.hint
