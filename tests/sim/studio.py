"""The vendor of a simulated world, behind its API and its download hosts: a state machine.

Nothing waits here: every call says when it comes and gets its answer at once.  What the program
may never do to a vendor (ask twice without listening, call before the limit's reset, open an
address that ran out) is checked here, where it would arrive.

What a misfortune makes necessary is written down where it strikes (``owes``): calls that have to
be made again, and versions that have to be asked for again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archiver.core.model import (
    NEVER,
    Downloadable,
    Instant,
    Link,
    Readiness,
    Video,
    VideoId,
)
from tests.sim.fate import Fate

API_FAULTS = frozenset({
    "post lost", "answer lost", "api away", "api busy", "not now", "forgotten", "unknown request",
    "no expiry", "expired at once", "nonsense", "not found", "denied", "slow to make",
    "never made", "other bytes", "video replaced", "video deleted", "video shown again",
    "still recording", "listing incomplete", "size untold", "size wrong",
})  # fmt: skip
HOST_FAULTS = frozenset({"refused", "broken", "corrupt", "host away", "cut at expiry"})
HOSTS = 2
IN_FLIGHT_S = 5.0  # a call that was sent before the answer to another came
LONGEST_WAIT_S = 890.0  # after a quarter of an hour the client may look again, whatever was said
WINDOWS_S = (8.0, 3600.0, 86_400.0, 365 * 86_400.0)


@dataclass(slots=True)
class Film:
    """A video as the vendor has it.  ``content`` names its bytes: other bytes, another number."""

    size: int
    told: int | None
    content: int = 0
    is_there: bool = True
    returns: bool = False  # it is there again the day after
    is_replaced: bool = False
    is_struck: bool = False  # by a misfortune since its last version: it may have to be made again
    is_recording: bool = False
    made: int = 0  # versions so far


@dataclass(slots=True)
class Version:
    """What is prepared, or being prepared, of a film."""

    number: int
    content: int
    size: int
    asked_at: float
    ready_at: float
    ends_at: float
    is_late: bool = False  # it takes much longer than others, or for ever
    looked_at: float = 0.0
    is_excused: bool = False  # the client was told that there is none: it may ask again


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the API.

    ``word``: ok, away (no connection), lost (sent, and nothing came back), busy (429),
    not found, denied, nonsense.
    """

    word: str
    said: Downloadable | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Studio:
    """The vendor.  All times are its own clock's."""

    def __init__(self, fate: Fate, opened_at: float) -> None:
        self.fate = fate
        dice = fate.dice("studio")
        self.window_s = dice.choice(WINDOWS_S)
        self.generation_s = dice.choice([0.5, 20.0, 120.0])
        if self.window_s < 60.0:  # what is made so slowly and lives so shortly cannot be had
            self.generation_s = 0.5
        self.period_s = dice.choice([60.0, 3600.0])
        self.limit = dice.choice([None, None, dice.randint(20, 200)])
        self.films: dict[VideoId, Film] = {}
        self.versions: dict[VideoId, Version] = {}
        self.said_gone: set[VideoId] = set()  # answered 404 to a POST, once at least
        self.contents: dict[str, int] = {}  # every content there ever was, and its size
        self.slice_bytes = 1.0  # of a body: what comes between two looks at it
        self.unheard: set[VideoId] = set()  # a POST took effect, and nothing was heard since
        self.away_until = opened_at
        self.hosts_away_until = [opened_at] * HOSTS
        self.clock_is_wrong = False  # the client's: what it then opens too late is excused
        self.calls = self.posts = self.expired = 0
        self.owed_calls = self.owed_versions = 0.0
        self._away_at = self._probed_at = opened_at
        self._opened_at, self._period, self._spent = opened_at, 0, 0
        self._told_at: float = NEVER  # when it was said last that this period's calls are spent

    def owes(self, calls: float, number: VideoId | None = None) -> None:
        """A misfortune made so many more calls necessary.

        If it struck a video, or all of them, a version asked for after it is owed as well.
        """
        self.owed_calls += calls
        for each in self.films if number is None else (number,):
            self.films[each].is_struck = True

    def client_restarts(self) -> None:
        """The client begins anew: what it was told of the limit, it has forgotten."""
        self._told_at = NEVER

    # The account.

    def add(self, number: VideoId, size: int) -> None:
        """A video is uploaded."""
        told: int | None = size
        if self.fate.strikes("size untold"):
            told = None
        elif self.fate.strikes("size wrong"):
            told = size * 3
        film = Film(size, told, is_recording=self.fate.strikes("still recording"))
        self.films[number] = film

    def day_passes(self) -> None:
        """Owners change things between two nights."""
        fate = self.fate
        for number, film in self.films.items():
            film.is_recording = False
            if not film.is_there:
                film.is_there = fate.is_quiet or film.returns
            elif fate.strikes("video shown again", 0.2):  # gone for a night
                film.is_there, film.returns = False, True
                self.versions.pop(number, None)
                self.owes(0, number)
            elif fate.strikes("video deleted", 0.3):
                film.is_there, film.returns = False, False
                self.versions.pop(number, None)
                self.owes(0, number)
            elif fate.strikes("video replaced", 0.3):
                film.size += 1 + film.size // 7
                film.told = film.size
                film.content += 1
                film.is_replaced = True
                self.versions.pop(number, None)
                self.owes(0, number)

    def settle(self) -> None:
        """No misfortune any more: what was never made is made now."""
        for number in [n for n, v in self.versions.items() if v.ready_at == NEVER]:
            del self.versions[number]
        self.away_until = self._opened_at
        self.hosts_away_until = [self._opened_at] * HOSTS

    def listing(self) -> list[Video]:
        """What the account shows; an incomplete listing leaves some out."""
        shown = []
        for number, film in self.films.items():
            if not film.is_there or self.fate.strikes("listing incomplete"):
                continue
            size = None if film.is_recording else film.told
            shown.append(
                Video(number, f"Film {number}", size_bytes=size, recording=film.is_recording)
            )
        return shown

    # The API.

    def page(self, now: float) -> Mapping[str, str]:
        """One page of a listing: it costs a call of the limit."""
        self.calls += 1
        headers = self._headers(now)
        assert headers is not None, "a page was asked for beyond the limit"
        return headers

    def call(self, number: VideoId, now: float, *, posted: bool) -> Reply:
        """One call: a POST asks for the file, a GET how it is doing."""
        reply = self._reply(number, now, posted=posted)
        self.fate.happened(now, f"{'POST' if posted else 'GET'} -> {_words(reply)}", number)
        return reply

    def _reply(self, number: VideoId, now: float, *, posted: bool) -> Reply:
        fate = self.fate
        self.calls += 1
        self.posts += posted
        if now >= self.away_until and fate.strikes("api away"):
            away_s = fate.own("api away").uniform(1, 4000)
            self.away_until, self._away_at = now + away_s, now
            self.owes(0)
        if now < self.away_until:
            self._is_probed(now)
            return Reply("away")
        headers = self._headers(now)
        if headers is None:
            return Reply("busy", headers={"Retry-After": str(int(self._resets_at() - now) + 1)})
        if fate.strikes("api busy"):
            self.owes(1, number)
            return Reply("busy")
        if posted and fate.strikes("post lost"):
            self.owes(2, number)
            return Reply("lost")
        film = self.films[number]
        if not film.is_there or (posted and fate.strikes("not found")):
            self.versions.pop(number, None)
            self.unheard.discard(number)
            self.owes(1, number)
            if posted:
                self.said_gone.add(number)
            return Reply("not found", headers=headers)
        if posted and fate.strikes("denied"):
            self.owes(2, number)
            return Reply("denied", headers=headers)
        if not posted and fate.strikes("unknown request"):
            self.versions.pop(number, None)
            self.unheard.discard(number)
            self.owes(0, number)
            return Reply("not found", headers=headers)
        if posted and fate.strikes("not now"):
            self.owes(1, number)
            return Reply("ok", Downloadable(Readiness.UNAVAILABLE), headers)
        if posted:
            self._make(number, film, now)
        if fate.strikes("answer lost"):
            self.owes(1, number)
            return Reply("lost")
        if fate.strikes("nonsense"):
            self.owes(1, number)
            return Reply("nonsense", headers=headers)
        self.unheard.discard(number)
        return Reply("ok", self._state(number, now, posted=posted), headers)

    def _make(self, number: VideoId, film: Film, now: float) -> None:
        fate = self.fate
        if number in self.unheard:
            raise fate.broken(f"{number} was asked for twice without listening in between")
        self.unheard.add(number)
        version = self.versions.get(number)
        if version is not None and now < version.ends_at:
            # A client that has seen no other takes the address for as old as its request.
            life_s = version.ends_at - version.asked_at
            nearly_over = version.ends_at - now <= min(61.0, 0.06 * life_s)
            # Whether the version before was of the old file or the new, no listing can tell.
            may_ask = version.is_excused or film.is_replaced or self.clock_is_wrong
            if not (may_ask or nearly_over):
                raise fate.broken(f"{number} was asked for again while a version of it stands")
            if not nearly_over:
                return  # the vendor still has it, and says so again
        film.made += 1
        took_s = self.made_in_s(number, film.made)
        is_late = False
        if fate.strikes("slow to make"):
            took_s, is_late = 30 * took_s, True
        if fate.strikes("never made"):
            took_s, is_late = NEVER if self.window_s > 60.0 else 120.0, True
        if film.made > 1 and fate.strikes("other bytes"):
            film.content += 1
        self.contents[f"{number}.{film.content}"] = film.size
        ready_at = now + took_s
        ends_at = ready_at + self.window_s
        if self._is_owed(film, version, number):
            self.owed_versions += 1
        film.is_struck = is_late  # what is late may be gone before it is looked at
        self.versions[number] = Version(
            film.made, film.content, film.size, now, ready_at, ends_at, is_late
        )

    def _is_owed(self, film: Film, before: Version | None, number: VideoId) -> bool:
        """A misfortune is why another version is asked for."""
        if film.made == 1:
            return False
        away_until = max(self.away_until, self.hosts_away_until[number % HOSTS])
        return film.is_struck or (before is not None and before.ready_at <= away_until)

    def _is_probed(self, now: float) -> None:
        """A call into an outage is necessary, if the pauses grow to half a minute."""
        since_s = now - self._away_at
        if now - self._probed_at >= 0.9 * min(30.0, since_s / 2):
            self.owed_calls += 1
        self._probed_at = now

    def _is_looked_at(self, version: Version, now: float) -> None:
        """To look at what is late, at the pace that the client promises, is necessary."""
        passed_s = now - version.asked_at
        pause_s = min(300.0, 0.1 * self.window_s, max(1.6, 0.6 / 1.6 * passed_s))
        if version.is_late and now - version.looked_at >= 0.9 * pause_s:
            self.owed_calls += 1
        version.looked_at = now

    def made_in_s(self, number: VideoId, version: int) -> float:
        """How long the vendor takes to make a version, where nothing disturbs it."""
        return self.fate.dice(f"made {number} {version}").expovariate(1 / self.generation_s)

    def _state(self, number: VideoId, now: float, *, posted: bool) -> Downloadable:
        fate = self.fate
        if not posted and fate.strikes("forgotten"):
            self.versions.pop(number, None)
            self.owes(0, number)
        version = self.versions.get(number)
        if version is None or now >= version.ends_at:
            return Downloadable(Readiness.UNAVAILABLE)
        if now < version.ready_at:
            self._is_looked_at(version, now)
            return Downloadable(Readiness.PENDING)
        ends_at = Instant(version.ends_at)
        if fate.strikes("expired at once"):
            version.is_excused = True
            ends_at = Instant(now)
            self.owes(1, number)
        elif fate.strikes("no expiry"):
            ends_at = NEVER
        url = f"https://host{number % HOSTS}/{number}/{version.number}/{version.content}"
        return Downloadable(Readiness.AVAILABLE, Link(url, ends_at))

    def _resets_at(self) -> float:
        return self._opened_at + (self._period + 1) * self.period_s

    def _headers(self, now: float) -> Mapping[str, str] | None:
        """Spend a call of the period; None where there is none left."""
        if self.limit is None:
            return {}
        period = int((now - self._opened_at) / self.period_s)
        if period != self._period:
            self._period, self._spent, self._told_at = period, 0, NEVER
        if self._spent >= self.limit:
            since_s = now - self._told_at
            if not self.clock_is_wrong and IN_FLIGHT_S < since_s < LONGEST_WAIT_S:
                raise self.fate.broken("the API was called before the reset of its limit")
            self._told_at = now
            return None
        self._spent += 1
        left = self.limit - self._spent
        if not left:
            self._told_at = now
        return {
            "X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(self._resets_at()),
        }  # fmt: skip

    # The download hosts.

    def number_of(self, link: Link) -> VideoId:
        """The video that an address stands for."""
        return VideoId(int(link.url.rsplit("/", 3)[1]))

    def name_of(self, link: Link) -> str:
        """The content that an address stands for, as ``contents`` names it."""
        _, number, _, content = link.url.rsplit("/", 3)
        return f"{number}.{content}"

    def sent(self, link: Link, now: float) -> None:
        """A GET of an address leaves the program; on its way the address may still run out."""
        if now > link.expires_at and not self.clock_is_wrong:
            number = self.name_of(link).partition(".")[0]
            raise self.fate.broken(f"the address of {number} was opened after it had run out")

    def open(self, link: Link, now: float) -> tuple[str, Version | None]:
        """A GET of an address: ok, away, refused; and what it stands for."""
        fate = self.fate
        host, number, made, _ = link.url.removeprefix("https://host").split("/")
        word, version = self._opened(int(host), VideoId(int(number)), int(made), link, now)
        fate.happened(now, f"GET {link.url} -> {word}", number)
        return word, version

    def _opened(
        self, host: int, number: VideoId, made: int, link: Link, now: float
    ) -> tuple[str, Version | None]:
        fate = self.fate
        if fate.strikes("host away"):
            self.hosts_away_until[host] = now + fate.own("host away").uniform(1, 2000)
            self.owes(0, number)
        if now < self.hosts_away_until[host]:
            return "away", None
        version = self.versions.get(number)
        if version is None or version.number != made or now >= version.ends_at:
            return "refused", None
        if fate.strikes("refused"):
            version.is_excused = True
            self.owes(1, number)
            return "refused", None
        return "ok", version


def _words(reply: Reply) -> str:
    if reply.said is None:
        return reply.word
    link = reply.said.link
    return f"{reply.said.status}" if link is None else f"available until {link.expires_at:.3f}"
