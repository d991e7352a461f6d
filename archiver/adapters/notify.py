"""Messages to people, by Apprise: mail, chat and whatever else it knows; an extra package.

Rule 1: it is loaded only where addresses are set.
Rule 2: the addresses are secrets: neither our messages nor Apprise's own log tell them.
"""

from __future__ import annotations

import logging

from archiver.account import Secret
from archiver.errors import SettingsError


class Notifier:
    """Everybody that is to be told.  It blocks: call it in a thread.

    Apprise asks each in a thread of its own, for some seconds; the end of the program waits for it.

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
        self._all = apprise.Apprise()
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
        # Told that it is plain text, a service of HTML keeps its lines and signs.
        sent = self._all.notify(body=body, title=title, notify_type=kind, body_format="text")
        return "" if sent else "not every service took it"
