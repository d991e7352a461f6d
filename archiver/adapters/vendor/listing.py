"""Reading a listing to its end, though it moves under way and its pages may lie.

Rule 1: pages are asked for at our own address; of ``paging.next`` only the query is taken.
Rule 2: an object is told once; a page that brings nothing new ends the walk.
Rule 3: a walk during which something moved (an id of an earlier page, a changed counter, an empty
        page before the last) is repeated until two agree, three times at most; a quiet listing
        costs one call a page.  A deletion that no counter shows stays unseen until the next night.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from urllib.parse import parse_qsl, urlsplit

from archiver.adapters.vendor import values, wire
from archiver.adapters.vendor.call import Caller
from archiver.core.model import Instant
from archiver.errors import BadAnswerError, ListingError, WeatherError
from archiver.met import met

WALKS = 3  # of one listing, when it moves
MOST_PAGES = 5_000  # a quarter of a million videos
MOST_EMPTY = 3  # empty pages in a row that still announce another
MOST_BAD = 4  # bad answers in a row
WAIT_FOR_RATE_S = 1_000.0  # longer than any wait a header can order
LEAST_NAP_S = 0.2
MAX_WAIT_S = 6 * 3_600.0
_COUNTERS = frozenset({"item_count", "total", "total_count"})

T = TypeVar("T")


class _Listable(Protocol):
    @property
    def id(self) -> int: ...


ItemT = TypeVar("ItemT", bound=_Listable)


@dataclass(frozen=True, slots=True)
class Query(Generic[ItemT]):
    """What to list: the path, where the objects stand, and how one is read.

    ``params`` stay the same on every page; ``page`` is the name of the page's number.
    """

    path: str
    key: str
    read: Callable[[object], ItemT | None]
    size: int
    page: str = "page"
    params: tuple[tuple[str, str], ...] = ()

    def first(self) -> dict[str, str]:
        """The parameters of page 1."""
        return {**dict(self.params), "pagesize": str(self.size), self.page: "1"}


@dataclass(frozen=True, slots=True)
class Batch(Generic[ItemT]):
    """Objects that were not told before.  ``complete``: the end of a listing to be believed."""

    items: tuple[ItemT, ...]
    complete: bool = False


@dataclass(slots=True)
class _Walk:
    """One way through all pages.  ``cut``: it did not come to a real end."""

    ids: set[int] = field(default_factory=set)
    counts: tuple[tuple[str, int], ...] = ()
    pages: int = 0
    empty: int = 0
    moved: bool = False
    cut: bool = False
    odd: bool = False  # something on a page had no usable id
    first: tuple[int, ...] = ()

    def take(self, items: list[ItemT], page: wire.Listed) -> list[ItemT]:
        """Take in a page; return what is new on it."""
        if self.pages and page.counts != self.counts:
            met("A33")
        if not page.objects and page.next:
            met("A34")
        new = {item.id: item for item in items if item.id not in self.ids}
        self.moved |= any(item.id in self.ids for item in items)
        self.moved |= self.pages > 0 and page.counts != self.counts
        self.moved |= not page.objects and bool(page.next)  # its videos may be missing
        if not self.pages:
            self.first = tuple(item.id for item in items)
        self.ids.update(new)
        self.counts, self.pages = page.counts, self.pages + 1
        self.empty = 0 if page.objects else self.empty + 1
        return list(new.values())

    def stuck(self) -> None:
        """The pages repeat themselves; that is an end only if a counter says so."""
        met("A31")
        self.cut = not any(
            name in _COUNTERS and count == len(self.ids) for name, count in self.counts
        )


class Lister:
    """Reads listings, waiting out bad weather.

    Args:
        max_wait_s: of one call, before its WeatherError is raised after all.
    """

    def __init__(self, caller: Caller, max_wait_s: float = MAX_WAIT_S) -> None:
        self._caller, self._clock = caller, caller.clock
        self._max_wait_s = max_wait_s

    async def batches(
        self,
        query: Query[ItemT],
        enough: Callable[[Sequence[ItemT]], Awaitable[bool]] | None = None,
    ) -> AsyncIterator[Batch[ItemT]]:
        """Every object once; the last batch says whether the listing can be believed.

        Args:
            enough: asked of each page but the last whether the listing may be left behind it.
        """
        told: set[int] = set()
        before: set[int] | None = None
        for walk_number in range(1, WALKS + 1):
            walk = _Walk()
            held: Batch[ItemT] = Batch(())
            async for items in self._walk(query, walk, enough):
                if held.items:
                    yield held
                held = Batch(tuple(item for item in items if item.id not in told))
                told.update(item.id for item in items)
            agreed = walk.ids == before
            believed = not walk.cut and (agreed or not await self._moved(query, walk))
            if believed or agreed or walk_number == WALKS:
                yield Batch(held.items, believed and not walk.odd)
                return
            met("A32")
            if held.items:
                yield held
            before = walk.ids

    async def _moved(self, query: Query[ItemT], walk: _Walk) -> bool:
        """Whether videos may have slipped from one page to another behind our back.

        A deletion moves a video to a page that was read already, and leaves no trace but in a
        counter.  Where the vendor gives none, page 1 of several is read once more: the newest
        videos are those that are deleted and replaced.
        """
        if walk.moved or not walk.ids:  # a listing without anything is worth a second look
            return True
        if walk.counts or walk.pages < 2:
            return False
        page = await self._page(query, query.first())
        return tuple(item.id for item in _readable(query, page)) != walk.first

    async def _walk(
        self,
        query: Query[ItemT],
        walk: _Walk,
        enough: Callable[[Sequence[ItemT]], Awaitable[bool]] | None,
    ) -> AsyncIterator[list[ItemT]]:
        params: dict[str, str] | None = query.first()
        while params is not None:
            page = await self._page(query, params)
            items = _readable(query, page)
            if page.odd or len(items) < len(page.objects):
                met("A37")
                walk.odd = True
            new = walk.take(items, page)
            yield new
            following = next_params(query, params, page)
            if following is None:
                return
            if (page.objects and not new) or following == params or walk.empty >= MOST_EMPTY:
                walk.stuck()
                return
            if enough is not None and await enough(items):
                return
            if walk.pages >= MOST_PAGES:
                met("A31")
                walk.cut = True
                return
            params = following

    async def _page(self, query: Query[ItemT], params: Mapping[str, str]) -> wire.Listed:
        def read(body: bytes) -> wire.Listed:
            page = wire.listed(body, query.key)
            if page.objects and not _readable(query, page):
                raise BadAnswerError("nothing on the page has a usable id")
            return page

        try:
            return await self.patient(query.path, params, read)
        except BadAnswerError as error:
            raise ListingError(
                f"The vendor's listing {query.path} cannot be read: {error}.",
                "Try again later; `archiver doctor` checks the way to the API.",
            ) from error

    async def patient(
        self, path: str, params: Mapping[str, str] | None, read: Callable[[bytes], T]
    ) -> T:
        """GET and read, waiting out the weather and asking again after nonsense.

        Raises:
            WeatherError: the weather lasted longer than ``max_wait_s``.
            BadAnswerError: the answers make no sense, four times in a row.
            NotFoundError, DeniedError, AuthError.
        """
        began_at: Instant | None = None
        bad = 0
        while True:
            try:
                return read(await self._caller.call("GET", path, "list", params, WAIT_FOR_RATE_S))
            except WeatherError as error:
                # From the first failure on: the very first answer may set a wrong clock right.
                began_at = self._clock.now() if began_at is None else began_at
                await self._wait_out(error, began_at)
            except BadAnswerError:
                bad += 1
                if bad >= MOST_BAD:
                    raise
                await self._clock.sleep_until(Instant(self._clock.now() + 2.0 ** (bad - 1)))

    async def _wait_out(self, error: WeatherError, began_at: Instant) -> None:
        now = self._clock.now()
        if now - began_at >= self._max_wait_s:
            raise error
        better_at = self._caller.weather.closed_until(error.host, now)
        at = max(error.retry_at or now, better_at, now + LEAST_NAP_S)
        await self._clock.sleep_until(Instant(min(at, began_at + self._max_wait_s)))


def _readable(query: Query[ItemT], page: wire.Listed) -> list[ItemT]:
    return [item for found in page.objects if (item := query.read(found)) is not None]


def next_params(
    query: Query[ItemT], params: Mapping[str, str], page: wire.Listed
) -> dict[str, str] | None:
    """The parameters of the next page, or None at the end.

    Of ``next`` only the query counts, and of that nothing that we said ourselves: neither host
    nor path nor filter of an answer can send the token anywhere or narrow the listing.
    """
    own = {name for name, _ in query.params} | {"pagesize"}
    names = ("page", "p")
    at = next((values.whole(params[name]) for name in names if name in params), None) or 1
    plain = {name: value for name, value in params.items() if name not in names}
    if page.next:
        said = {
            name: value
            for name, value in _query_of(page.next)
            if name not in own and len(value) <= 500
        }
        return {**plain, **said} if said else {**plain, query.page: str(at + 1)}
    announced = dict(page.counts).get("page_count", 0) > at and bool(page.objects)
    full = not page.paged and len(page.objects) >= query.size
    return {**plain, query.page: str(at + 1)} if announced or full else None


def _query_of(address: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(urlsplit(address).query, max_num_fields=50)
    except ValueError:
        return []
