"""Messages to people, by Apprise: mail, chat and whatever else it knows; an extra package.

Rule 1: it is loaded only where addresses are set.
Rule 2: the addresses are secrets: neither our messages nor Apprise's own log tell them.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from archiver.account import Secret
from archiver.errors import SettingsError

_KINDS: Final = {"failure": "failure", "warning": "warning", "success": "success"}


class Notifier:
    """Everybody that is to be told.  It blocks: call it in a thread.

    Args:
        addresses: Apprise's, with blanks between them.

    Raises:
        SettingsError: Apprise is not installed, or does not know one of them.
    """

    def __init__(self, addresses: Secret) -> None:
        try:
            import apprise
        except ImportError as error:
            raise SettingsError(
                "ARCHIVER_NOTIFY is set, but Apprise is not installed.",
                "Run: pip install 'archiver[notify]'",
            ) from error
        logging.getLogger("apprise").disabled = True
        self._all: Any = apprise.Apprise()
        for number, address in enumerate(addresses.reveal().split(), 1):
            if not self._all.add(address):
                raise SettingsError(
                    f"ARCHIVER_NOTIFY: address {number} is none that Apprise knows.",
                    "They look like mailto://… or ntfy://…, with blanks between them.",
                )

    def tell(self, title: str, body: str, kind: str) -> str:
        """Send a message to all; *kind* is "failure", "warning" or "success".

        Returns:
            Why not everybody got it; "" where all did.
        """
        sent = self._all.notify(body=body, title=title, notify_type=_KINDS[kind])
        return "" if sent else "not every service took it"
