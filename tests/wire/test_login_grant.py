"""What a stored login promises over its life: never spent without its successor, nor by two."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from archiver.account import Account, Login, Secret
from archiver.adapters.disk import Os
from archiver.adapters.http import open_sessions
from archiver.adapters.login_store import LoginStore
from archiver.adapters.vendor.token import TokenSource
from archiver.core.model import Instant
from archiver.core.summary import ApiCalls
from archiver.core.weather import Weather
from archiver.emulator.config import EmulatorConfig
from archiver.emulator.server import Emulator
from archiver.errors import AuthError, WeatherError
from tests.wire.door import Clock, Door, reply, token

DAY_S = 86_400.0


@dataclass
class Scene:
    """A vendor, an owner's stored login, and time that passes when it is told to."""

    emulator: Emulator
    clock: Clock
    folder: Path

    @property
    def store(self) -> LoginStore:
        return LoginStore(self.folder)

    @property
    def login(self) -> Login:
        found = self.store.read()
        assert found is not None
        return found

    @property
    def asked(self) -> int:
        """Token requests."""
        return int(self.emulator.stats["tokens"])

    def account(self, store: LoginStore | None = None, **more: Any) -> Account:
        return Account(
            self.emulator.api_url, self.emulator.token_url,
            login=self.store if store is None else store, **more,
        )  # fmt: skip

    def is_live(self, token: Secret) -> bool:
        return self.emulator.tokens.is_live(token.reveal(), self.clock.at)

    @asynccontextmanager
    async def source(self, account: Account | None = None) -> AsyncIterator[TokenSource]:
        known = account or self.account()
        async with open_sessions(known) as sessions:
            made = TokenSource(sessions.api, known, self.clock, Weather(), ApiCalls())
            try:
                yield made
            finally:
                await made.close()

    async def bearer(self, source: TokenSource) -> str:
        head = await source.authorize(f"{self.emulator.api_url}/videos/1.json")
        return head["Authorization"].removeprefix("Bearer ")


@asynccontextmanager
async def scene(folder: Path, **config: Any) -> AsyncIterator[Scene]:
    clock = Clock()
    async with Emulator(EmulatorConfig(videos=1, **config), clock=lambda: clock.at) as emulator:
        given = emulator.tokens.issue(clock.at)
        login = Login(
            emulator.api_url, emulator.token_url, emulator.client_id,
            Secret(given["refresh_token"]), Secret(given["access_token"]),
            Instant(clock.at + given["expires_in"]), clock.now(),
        )  # fmt: skip
        LoginStore(folder).begin(login)
        yield Scene(emulator, clock, folder)


def test_a_login_is_used_as_long_as_it_is_good_and_then_renewed(tmp_path: Path) -> None:
    """The next run begins with what this one stored; the spent token is nowhere any more."""

    async def story() -> None:
        async with scene(tmp_path) as at:
            first = at.login
            async with at.source() as source:
                assert await at.bearer(source) == first.access_token.reveal()
                at.clock.at += 0.89 * DAY_S
                assert await at.bearer(source) == first.access_token.reveal()
                assert at.asked == 0
                at.clock.at += 0.02 * DAY_S
                renewed = await at.bearer(source)
            assert at.asked == 1
            assert renewed == at.login.access_token.reveal() != first.access_token.reveal()
            assert not at.is_live(first.refresh_token)
            assert at.is_live(at.login.refresh_token)
            assert first.refresh_token.reveal() not in (tmp_path / "login.json").read_text()
            async with at.source() as source:
                assert await at.bearer(source) == renewed
            assert at.asked == 1

    asyncio.run(story())


def test_a_refresh_token_is_kept_young_however_long_access_lasts(tmp_path: Path) -> None:
    """After a week it is renewed: unused it would die, and with it the login."""

    async def story() -> None:
        async with scene(tmp_path, token_life_s=90 * DAY_S) as at:
            for _ in range(3):
                at.clock.at += 6 * DAY_S
                async with at.source() as source:
                    await at.bearer(source)
            assert at.asked == 1
            assert at.login.renewed_at == at.clock.at - 6 * DAY_S

    asyncio.run(story())


def test_a_time_of_storing_that_lies_ahead_is_not_believed(tmp_path: Path) -> None:
    """A clock that was a year ahead must not have the token live for a year."""

    async def story() -> None:
        async with scene(tmp_path) as at:
            ahead = Instant(at.clock.at + 365 * DAY_S)
            odd = replace(at.login, renewed_at=ahead, ends_at=Instant(ahead + DAY_S))
            at.store.write(odd)
            async with at.source() as source:
                await at.bearer(source)
            assert (at.asked, at.login.renewed_at) == (1, at.clock.at)

    asyncio.run(story())


def test_many_processes_spend_one_refresh_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A03: one is asked for; all others take what it brought, from the store."""

    async def a_moment(_at: Instant) -> None:
        await asyncio.sleep(0)  # the renewal takes its real time: whoever waits must not outrun it

    async def story() -> None:
        async with scene(tmp_path) as at:
            at.clock.at += 2 * DAY_S
            monkeypatch.setattr(at.clock, "sleep_until", a_moment)
            async with at.source() as one, at.source() as two, at.source() as three:
                got = await asyncio.gather(*(at.bearer(each) for each in (one, two, three)))
            assert (len(set(got)), at.asked) == (1, 1)

    asyncio.run(story())


def test_a_401_renews_once_for_all_processes(tmp_path: Path) -> None:
    """Who comes second with the token that was refused finds the new one stored."""

    async def story() -> None:
        async with scene(tmp_path) as at, at.source() as one, at.source() as two:
            old = await at.bearer(one)
            assert await at.bearer(two) == old
            head = {"Authorization": f"Bearer {old}"}
            one.refused(head)
            renewed = await at.bearer(one)
            two.refused(head)
            assert await at.bearer(two) == renewed != old
            assert at.asked == 1

    asyncio.run(story())


def test_a_lock_that_is_held_for_too_long_is_weather(tmp_path: Path) -> None:
    """Another process hangs: this one waits, and asks nobody."""

    async def story() -> None:
        async with scene(tmp_path) as at:
            at.clock.at += 2 * DAY_S
            with at.store.alone():
                async with at.source() as source:
                    with pytest.raises(WeatherError, match="another process"):
                        await at.bearer(source)
            assert at.asked == 0

    asyncio.run(story())


def test_a_login_for_other_addresses_sends_nothing(tmp_path: Path) -> None:
    """S01: neither to the other token address nor to the other API; a spelling is no other one."""

    async def story() -> None:
        async with scene(tmp_path) as at:
            at.clock.at += 2 * DAY_S
            for elsewhere in (
                replace(at.account(), api_url="http://127.0.0.1:9"),
                replace(at.account(), token_url=f"{at.emulator.token_url}x"),
            ):
                with pytest.raises(AuthError, match="The stored login is for the"):
                    elsewhere.require_credentials()
                async with at.source(elsewhere) as source:
                    with pytest.raises(AuthError, match="The stored login is for the"):
                        await source.authorize(f"{elsewhere.api_url}/videos/1.json")
            assert at.asked == 0
            same = replace(at.account(), token_url=at.emulator.token_url + "/")
            same.require_credentials()

    asyncio.run(story())


class Full(Os):
    """A disk that takes so many files more."""

    def __init__(self, takes: int) -> None:
        super().__init__()
        self.takes = takes

    def create(self, name: str, folder: int) -> int:
        self.takes -= 1
        if self.takes < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().create(name, folder)


def test_what_could_not_be_stored_is_not_spent(tmp_path: Path) -> None:
    """A full disk costs a night, not the login."""

    async def story() -> None:
        async with scene(tmp_path) as at:
            first = at.login
            at.clock.at += 2 * DAY_S
            full = at.account(LoginStore(tmp_path, system=Full(0)))
            async with at.source(full) as source:
                with pytest.raises(AuthError, match="No space left"):
                    await at.bearer(source)
            assert (at.asked, at.login) == (0, first)
            async with at.source() as source:
                await at.bearer(source)
            assert at.asked == 1

    asyncio.run(story())


def test_a_run_whose_disk_is_full_a_moment_later_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, renews by what it holds in memory, and stores that when it can."""

    async def story() -> None:
        async with scene(tmp_path) as at:
            disk = Full(1)
            async with at.source(at.account(LoginStore(tmp_path, system=disk))) as source:
                at.clock.at += 2 * DAY_S
                first = await at.bearer(source)
                assert "archiver login" in caplog.text
                disk.takes = 9
                at.clock.at += 2 * DAY_S
                second = await at.bearer(source)
            assert second == at.login.access_token.reveal() != first
            assert at.is_live(at.login.refresh_token)

    asyncio.run(story())


def test_a_login_that_is_refused_is_the_persons_turn_once_nothing_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is left of the access token's life is used; then it says what to do."""

    async def story() -> None:
        async with scene(tmp_path) as at, at.source() as source:
            first = await at.bearer(source)
            at.emulator.tokens.revoke(at.login.refresh_token.reveal())
            at.clock.at += 0.95 * DAY_S
            for _ in range(3):
                assert await at.bearer(source) == first
            assert (at.asked, caplog.text.count("was refused")) == (1, 1)
            at.clock.at += 0.1 * DAY_S
            with pytest.raises(AuthError, match="400 invalid_grant") as caught:
                await at.bearer(source)
            assert "archiver login" in caught.value.hint
            for token in at.emulator.tokens.issued:
                assert token not in caplog.text + str(caught.value)

    asyncio.run(story())


def test_an_answer_that_is_lost_leaves_what_was_stored(tmp_path: Path) -> None:
    """The vendor spent the token and nobody heard: the access token's rest is used."""

    async def story() -> None:
        async with scene(tmp_path, faults=("token-lost",)) as at, at.source() as source:
            stored = at.login
            at.clock.at += 0.95 * DAY_S
            for _ in range(2):
                assert await at.bearer(source) == stored.access_token.reveal()
            assert (at.asked, at.login) == (1, stored)
            at.clock.at += DAY_S
            with pytest.raises(AuthError, match="invalid_grant"):
                await at.bearer(source)

    asyncio.run(story())


def test_a_run_that_ends_in_mid_renewal_still_stores_it(tmp_path: Path) -> None:
    """The answer is on its way when the run is asked to stop: the login survives."""

    async def story() -> None:
        async with scene(tmp_path) as at:
            at.clock.at += 2 * DAY_S
            async with at.source() as source:
                waiting = asyncio.create_task(at.bearer(source))
                while not at.asked:
                    await asyncio.sleep(0)
                waiting.cancel()
            assert at.is_live(at.login.refresh_token)
            assert at.login.renewed_at == at.clock.at

    asyncio.run(story())


def test_a_vendor_that_gives_no_new_refresh_token_keeps_the_old(tmp_path: Path) -> None:
    """As the standard allows."""

    async def story() -> None:
        async with Door(lambda _: reply({}), lambda _: token("t2")).open() as door:
            clock = Clock()
            store = LoginStore(tmp_path)
            account = Account(door.url, f"{door.url}/token", login=store)
            old = Login(
                door.url, account.token_url, "c" * 40, Secret("old"), Secret("t1"),
                clock.now(), clock.now(),
            )  # fmt: skip
            store.begin(old)
            async with open_sessions(account) as sessions:
                source = TokenSource(sessions.api, account, clock, Weather(), ApiCalls())
                await source.authorize(f"{door.url}/x")
            (asked,) = door.grants
            assert dict(asked.form) == {
                "grant_type": "refresh_token", "client_id": "c" * 40, "refresh_token": "old",
                "device_name": "archiver",
            }  # fmt: skip
            kept = json.loads(store.path.read_text())["login"]
            assert (kept["refresh_token"], kept["access_token"]) == ("old", "t2")

    asyncio.run(story())


def test_somebody_logs_out_meanwhile(tmp_path: Path) -> None:
    """The access token that this run holds goes on while it can; the next one is refused."""

    async def story() -> None:
        async with scene(tmp_path) as at, at.source() as source:
            first = await at.bearer(source)
            at.store.forget()
            at.clock.at += 0.95 * DAY_S
            assert await at.bearer(source) == first
            at.clock.at += 0.1 * DAY_S
            with pytest.raises(AuthError, match="somebody logged out"):
                await at.bearer(source)
            with pytest.raises(AuthError, match="somebody logged out"):
                at.account().require_credentials()

    asyncio.run(story())


def test_what_a_person_set_goes_before_the_stored_login(tmp_path: Path) -> None:
    """A ready token, then client credentials, then the login."""

    async def story() -> None:
        async with scene(tmp_path) as at:
            clients = at.account(
                client_id=at.emulator.client_id, client_secret=Secret(at.emulator.client_secret)
            )
            ready = replace(clients, access_token=Secret("ready"))
            assert (ready.kind, clients.kind, at.account().kind) == ("token", "client", "login")
            async with at.source(ready) as source:
                assert await at.bearer(source) == "ready"
            async with at.source(clients) as source:
                assert await at.bearer(source) != at.login.access_token.reveal()
            assert at.asked == 1

    asyncio.run(story())
