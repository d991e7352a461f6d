"""The address that hears that a night began and how it ended, as healthchecks.io has it.

Rule 1: it has nothing to do with the vendor: no session, proxy variable or netrc is shared, and no
credential is sent.
Rule 2: whoever knows the address can write to it, so no message holds any part of it.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from archiver.account import Secret
from archiver.adapters.http import USER_AGENT, checked_proxy, tls_context
from archiver.met import met

TRIES: Final = 2
TIMEOUT_S: Final = 10.0
_BODY_MOST: Final = 10_000  # bytes; more is cut off by the services, or refused


class Ping:
    """An address that is asked when a run begins and ends.  It blocks: call it in a thread.

    Args:
        url: what a good end asks; ``/start`` and ``/fail`` are added to its path.
        proxy: an HTTP proxy to go through; None for none.
        ca_file: authorities to trust beside the system's; None for none.

    Raises:
        SettingsError: an unusable proxy or CA file.
    """

    def __init__(self, url: Secret, proxy: str | None, ca_file: str | None) -> None:
        self._url = url
        proxy = checked_proxy(proxy)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {}),
            urllib.request.HTTPSHandler(context=tls_context(ca_file)),
            _Stay(),
        )

    def tell(self, ending: str = "", body: str = "", *, timeout_s: float = TIMEOUT_S) -> str:
        """Ask the address with *ending* ("start", "fail" or nothing) added, once more if it fails.

        Args:
            body: told with it, up to 10 kB.
            timeout_s: seconds of silence that end a try.

        Returns:
            Why nobody heard; "" where somebody did.
        """
        why = ""
        for _ in range(TRIES):
            why = self._ask(_with(self._url.reveal(), ending), body, timeout_s)
            if not why:
                met("O05")  # now somebody misses the one that does not come
                return ""
        return why

    def _ask(self, url: str, body: str, timeout_s: float) -> str:
        data = body.encode()[:_BODY_MOST] if body else None
        head = {"User-Agent": USER_AGENT}
        if data:
            head["Content-Type"] = "text/plain; charset=utf-8"
        asking = urllib.request.Request(url, data, head)  # noqa: S310  checked by settings
        try:
            with self._opener.open(asking, timeout=timeout_s):
                return ""
        except urllib.error.HTTPError as error:
            error.close()
            return f"it answers {error.code}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            return _reason(error)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows nobody: the address is a secret between two."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _with(url: str, ending: str) -> str:
    """*url* with *ending* as the last part of its path; a query stays where it is."""
    if not ending:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{ending}"))


def _reason(error: Exception) -> str:
    """Why it could not be asked, in words that hold nothing of the address."""
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, TimeoutError):
        return "it does not answer"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return type(inner).__name__
