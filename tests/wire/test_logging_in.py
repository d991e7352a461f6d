"""What logging in and out promises on the wire: one answer, for this question, at this machine."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from archiver import archive
from archiver.account import Account, Login
from archiver.adapters import consent_window
from archiver.adapters.login_store import LoginStore
from archiver.commands.whoami import lines
from archiver.emulator.config import EmulatorConfig
from archiver.emulator.server import Emulator
from archiver.errors import ArchiverError, AuthError, SettingsError
from tests.wire.door import Door, reply, token

Browser = Callable[[URL, aiohttp.ClientSession], Awaitable[None]]


def account_at(vendor: Emulator, **more: Any) -> Account:
    return Account(
        vendor.api_url, vendor.token_url, vendor.authorize_url, client_id=vendor.client_id, **more
    )


@asynccontextmanager
async def vendor(**config: Any) -> AsyncIterator[Emulator]:
    async with Emulator(EmulatorConfig(videos=1, **config)) as emulator:
        yield emulator


async def logged_in(
    account: Account, store: LoginStore, browser: Browser, typed: str | None = None
) -> archive.Stored:
    """Log in while *browser* looks at the page; standard input has *typed*, or says nothing."""
    read, write = os.pipe()
    was, doing = os.dup(0), []
    os.dup2(read, 0)
    try:
        if typed is not None:
            os.write(write, typed.encode())
            os.close(write)
        async with aiohttp.ClientSession() as session:

            def show(page: str, opened: bool) -> None:
                assert not opened
                doing.append(asyncio.ensure_future(browser(URL(page), session)))

            try:
                made = await archive.login(account, show, browser=False, store=store)
            finally:
                await asyncio.gather(*doing)
            return made
    finally:
        os.dup2(was, 0)
        for each in (was, read, *([write] if typed is None else [])):
            os.close(each)


async def agree(page: URL, session: aiohttp.ClientSession) -> None:
    """An owner who agrees at once."""
    async with session.get(page) as response:
        assert response.status == 200
        assert "archiver has the answer" in await response.text()
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "no-referrer"


async def stare(page: URL, session: aiohttp.ClientSession) -> None:
    """An owner who does nothing."""


async def status(session: aiohttp.ClientSession, url: URL, method: str = "GET") -> int:
    async with session.request(method, url) as response:
        return response.status


def test_who_does_not_know_the_state_is_sent_away_and_waited_past(tmp_path: Path) -> None:
    """Other paths, other methods, other states, a stranger's refusal; then the owner."""

    async def story() -> None:
        async with vendor() as emulator:

            async def browser(page: URL, session: aiohttp.ClientSession) -> None:
                back = URL(page.query["redirect_uri"])
                assert (back.host, back.path) == ("127.0.0.1", "/callback")
                state = page.query["state"]
                for query in ({}, {"code": "x"}, {"code": "x", "state": "y"}, {"state": state}):
                    assert await status(session, back.with_query(query)) == 400
                assert await status(session, back.with_query(error="no", state="y")) == 400
                assert await status(session, back.with_path("/favicon.ico")) == 404
                assert await status(session, back.with_query(code="x", state=state), "POST") == 405
                assert await status(session, back.with_query(code="x", state=state), "HEAD") == 405
                await agree(page, session)

            store = LoginStore(tmp_path)
            made = await logged_in(account_at(emulator), store, browser)
            assert store.read() == made.login
            assert (made.login.api_url, made.place) == (emulator.api_url, str(store.path))
            assert emulator.tokens.is_live(made.login.access_token.reveal(), emulator.now())

    asyncio.run(story())


def test_the_port_is_this_machines_alone_and_closed_afterwards(tmp_path: Path) -> None:
    """Nobody on the network can reach it, and nobody at all once the answer is here."""

    async def story() -> None:
        async with vendor() as emulator:
            seen: list[URL] = []

            async def browser(page: URL, session: aiohttp.ClientSession) -> None:
                seen.append(URL(page.query["redirect_uri"]))
                listening = Path("/proc/net/tcp")
                if listening.exists():
                    here = f"0100007F:{seen[0].port:04X}"
                    assert here in listening.read_text()
                await agree(page, session)

            await logged_in(account_at(emulator), LoginStore(tmp_path), browser)
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", seen[0].port or 0)) != 0

    asyncio.run(story())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_registered_address_is_sent_as_it_is_and_listened_at(tmp_path: Path, host: str) -> None:
    """Character by character: the vendor compares it with what was registered."""

    async def story() -> None:
        async with vendor() as emulator:
            url = f"http://{host}:{free_port()}/my/way"

            async def browser(page: URL, session: aiohttp.ClientSession) -> None:
                assert page.query["redirect_uri"] == url
                await agree(page.with_host("127.0.0.1"), session)

            await logged_in(account_at(emulator, redirect_url=url), LoginStore(tmp_path), browser)

    asyncio.run(story())


def test_a_port_that_is_taken_is_said_before_anybody_is_asked(tmp_path: Path) -> None:
    """With the setting that names another one."""

    async def story() -> None:
        async with vendor() as emulator:
            with socket.create_server(("127.0.0.1", 0)) as other:
                url = f"http://127.0.0.1:{other.getsockname()[1]}/"
                with pytest.raises(SettingsError, match="is in use") as caught:
                    await logged_in(
                        account_at(emulator, redirect_url=url), LoginStore(tmp_path), stare
                    )
                assert "ARCHIVER_REDIRECT_URL" in caught.value.hint

    asyncio.run(story())


def test_an_answer_that_goes_elsewhere_can_only_be_pasted(tmp_path: Path) -> None:
    """A registered page of the owner's shows the code; no port is opened here."""

    async def story() -> None:
        async with vendor() as emulator:
            account = account_at(emulator, redirect_url="https://owner.example/code")
            async with consent_window.window(account.redirect_url) as window:
                assert not window.listens
            code = emulator.tokens.consent(
                {
                    "response_type": "code", "client_id": emulator.client_id,
                    "code_challenge": "another", "code_challenge_method": "S256",
                },
                emulator.now(),
            )  # fmt: skip
            with pytest.raises(AuthError, match=r"refused the code \(400 invalid_grant\)"):
                await logged_in(account, LoginStore(tmp_path), stare, f"{code}\n")

    asyncio.run(story())


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "No code was given"),
        ("\n", "No code was given"),
        ("two words\n", "neither a code nor"),
        ("http://127.0.0.1/callback?code=c&state=another\n", "neither a code nor"),
    ],
)
def test_what_is_pasted_has_to_be_an_answer(tmp_path: Path, typed: str, said: str) -> None:
    """S04: nor does a prompt wait where nobody is: the end of standard input is an answer, too."""

    async def story() -> None:
        async with vendor() as emulator:
            with pytest.raises(AuthError, match=said):
                await logged_in(account_at(emulator), LoginStore(tmp_path), stare, typed)
            assert emulator.stats["tokens"] == 0

    asyncio.run(story())


def test_nobody_is_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code would be dead by then."""
    monkeypatch.setattr(consent_window, "WAIT_S", 0.01)

    async def story() -> None:
        async with vendor() as emulator:
            with pytest.raises(AuthError, match="Nobody answered"):
                await logged_in(account_at(emulator), LoginStore(tmp_path), stare)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("fault", "said", "code"),
    [
        ("consent-denied", r"declined \(access_denied\)", 3),
        ("token-503", "could not be ended: the token address answered 503", 1),
        ("token-lost", "could not be ended: token: the connection broke", 1),
        ("token-html", "could not be ended: token: the API answered with a web page", 1),
    ],
)
def test_a_login_that_fails_stores_nothing(
    tmp_path: Path, fault: str, said: str, code: int
) -> None:
    """The owner declines; the token address is in trouble."""

    async def story() -> None:
        async with vendor(faults=(fault,)) as emulator:
            store = LoginStore(tmp_path)

            async def browser(page: URL, session: aiohttp.ClientSession) -> None:
                async with session.get(page) as response:
                    shown = await response.text()
                    assert ("Not logged in" in shown) == (fault == "consent-denied")

            with pytest.raises(ArchiverError, match=said) as caught:
                await logged_in(account_at(emulator), store, browser)
            assert caught.value.exit_code == code
            assert not store.is_there

    asyncio.run(story())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"client_id": ""}, "needs a client ID"),
        ({"authorize_url": "http://auth.example/"}, "ARCHIVER_AUTHORIZE_URL is plain http"),
        ({"redirect_url": "nonsense"}, "ARCHIVER_REDIRECT_URL is not a web address"),
        ({"token_url": "http://token.example/"}, "ARCHIVER_TOKEN_URL is plain http"),
    ],
)
def test_nobody_is_asked_for_what_cannot_be_done(
    tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    """The page is shown only where its answer could be used."""

    async def story() -> None:
        async with vendor() as emulator:
            account = replace(account_at(emulator), **more)
            with pytest.raises(SettingsError, match=said):
                await logged_in(account, LoginStore(tmp_path), stare)

    asyncio.run(story())


def test_the_verifier_is_told_to_the_token_address_alone(tmp_path: Path) -> None:
    """And the code's own redirect address with it; the page has only the hash."""

    async def story() -> None:
        async with Door(
            lambda _: reply({}), lambda _: token("t1", refresh_token="r1")
        ).open() as door:
            account = Account(door.url, f"{door.url}/token", f"{door.url}/page", client_id="c" * 40)
            pages: list[URL] = []

            async def browser(page: URL, session: aiohttp.ClientSession) -> None:
                pages.append(page)
                back = URL(page.query["redirect_uri"])
                state = page.query["state"]
                assert await status(session, back.with_query(code="c0de", state=state)) == 200

            made = await logged_in(account, LoginStore(tmp_path), browser)
            (asked,) = door.grants
            form, (page,) = dict(asked.form), pages
            verifier = form.pop("code_verifier")
            assert form == {
                "grant_type": "authorization_code", "client_id": "c" * 40, "code": "c0de",
                "redirect_uri": page.query["redirect_uri"], "device_name": "archiver",
            }  # fmt: skip
            assert 43 <= len(verifier) <= 128
            assert verifier not in str(page)
            assert made.login.refresh_token.reveal() == "r1"
            assert "r1" not in repr(made)

    asyncio.run(story())


async def stored(emulator: Emulator, folder: Path) -> tuple[LoginStore, Login]:
    store = LoginStore(folder)
    return store, (await logged_in(account_at(emulator), store, agree)).login


def live(emulator: Emulator, login: Login) -> list[bool]:
    return [
        emulator.tokens.is_live(one.reveal(), emulator.now())
        for one in (login.refresh_token, login.access_token)
    ]


def test_a_logout_goes_to_the_logins_own_address(tmp_path: Path) -> None:
    """Whatever the settings say meanwhile: the tokens are nobody else's business."""

    async def story() -> None:
        async with vendor() as emulator, vendor() as stranger:
            store, login = await stored(emulator, tmp_path)
            assert live(emulator, login) == [True, True]
            said = await archive.logout(account_at(stranger), store=store)
            assert "took the login back" in said
            assert live(emulator, login) == [False, False]
            assert (store.is_there, stranger.stats["tokens"]) == (False, 0)
            assert await archive.logout(account_at(stranger), store=store) == (
                "There is no stored login."
            )

    asyncio.run(story())


def test_a_login_is_deleted_also_where_nobody_can_take_it_back(tmp_path: Path) -> None:
    """Damaged, or a vendor that does not answer: it says that the login may live on."""

    async def story() -> None:
        async with vendor() as emulator:
            store, login = await stored(emulator, tmp_path)
        with pytest.raises(ArchiverError, match="not taken back: token: the connection was") as no:
            await archive.logout(account_at(emulator), store=store)
        assert (no.value.exit_code, store.is_there) == (1, False)
        store.begin(login)
        store.path.write_text("{}")
        with pytest.raises(ArchiverError, match="another version of this program"):
            await archive.logout(account_at(emulator), store=store)
        assert not store.is_there

    asyncio.run(story())


def test_the_doctor_names_a_login_that_is_no_good(tmp_path: Path) -> None:
    """As a matter of credentials, with what to do: that is where a 3 is looked for."""

    async def story() -> None:
        async with vendor() as emulator:
            store, _ = await stored(emulator, tmp_path)
            account = replace(account_at(emulator), login=store)
            found = {each.name: each for each in await archive.doctor(None, account)}
            assert found["credentials"].found == "a stored login: accepted"
            store.path.chmod(0o644)
            found = {each.name: each for each in await archive.doctor(None, account)}
            assert not found["credentials"].ok
            assert "chmod 600" in found["credentials"].advice
            assert "API" not in found
            store.path.chmod(0o600)
            for one in emulator.tokens.issued:
                emulator.tokens.revoke(one)
            who = await archive.whoami(account)
            assert (who.exit_code, who.as_json()["accepted"]) == (3, False)
            assert "archiver login" in who.hint

    asyncio.run(story())


def test_whoami_does_not_take_a_login_for_other_addresses_for_one_of_these(tmp_path: Path) -> None:
    """It says for whom the login is, and why it is of no use here."""

    async def story() -> None:
        async with vendor() as emulator:
            store, login = await stored(emulator, tmp_path)
            elsewhere = replace(account_at(emulator), login=store, api_url="https://api.example")
            who = await archive.whoami(elsewhere)
        answer = who.as_json()
        assert (who.exit_code, answer["api_url"]) == (3, login.api_url)
        assert (answer["token_url"], answer["client_id"]) == (login.token_url, login.client_id)
        first = next(iter(lines(answer)))
        assert first == f"A stored login for {login.api_url}, client ID {login.client_id}."
        assert who.trouble.endswith(f"for the API {login.api_url}, not for https://api.example.")

    asyncio.run(story())


def test_whoami_says_what_is_known_where_nobody_answers(tmp_path: Path) -> None:
    """Code 1: whether the credentials are any good is not known."""

    async def story() -> None:
        async with vendor() as emulator:
            store, login = await stored(emulator, tmp_path)
        who = await archive.whoami(replace(account_at(emulator), login=store), wait_s=0.0)
        assert (who.exit_code, who.login) == (1, login)
        answer = who.as_json()
        assert (answer["credentials"], answer["accepted"], answer["channels"]) == (
            "login",
            None,
            None,
        )
        assert answer["kept_in"] == str(store.path)
        assert "refused" in str(answer["message"])

    asyncio.run(story())
