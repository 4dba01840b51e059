"""Who may see the page, and who may drive: a token in the URL, exchanged once for the right to drive.

The token's first use admits the operator; every later use admits a visitor who only watches. A wrong token gets
nothing, and neither does a page of another origin: its requests carry another Origin or Host.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

COOKIE = "robokata_session"
_TOKEN_BYTES = 24
"""192 bits: not to be guessed."""
_MOST_SESSIONS = 64


@dataclass(frozen=True)
class Visitor:
    """One browser."""

    name: str
    may_drive: bool


class Access:
    """The tokens and the visitors of one run."""

    def __init__(self, hosts: Iterable[str], *, scheme: str) -> None:
        self._hosts, self._scheme = frozenset(hosts), scheme
        self._tokens: dict[str, bool] = {}
        """Token -> whether its right to drive is still there."""
        self._sessions: dict[str, Visitor] = {}
        self._lock = threading.Lock()

    def new_token(self) -> str:
        """A token whose first use may drive."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with self._lock:
            self._tokens[token] = True
        return token

    def redeem(self, token: str, *, known: str | None = None) -> str | None:
        """The secret of a new visitor for a token, None for a wrong one.

        A browser whose visitor (`known`) may drive keeps it: opening the link again must not make it a watcher.
        """
        with self._lock:
            # Every token is compared, in constant time each: how long it takes says nothing about how near a guess is.
            found = [each for each in self._tokens if hmac.compare_digest(each.encode(), token.encode())]
            if not found or len(self._sessions) >= _MOST_SESSIONS:
                return None
            if known is not None and known in self._sessions and self._sessions[known].may_drive:
                return known
            may_drive, self._tokens[found[0]] = self._tokens[found[0]], False
            secret = secrets.token_urlsafe(_TOKEN_BYTES)
            self._sessions[secret] = Visitor(f"browser-{len(self._sessions) + 1}", may_drive)
            return secret

    def visitor(self, secret: str | None) -> Visitor | None:
        """The visitor of a cookie, None where there is none."""
        if secret is None:
            return None
        with self._lock:
            found = [s for each, s in self._sessions.items() if hmac.compare_digest(each.encode(), secret.encode())]
            return found[0] if found else None

    def is_ours(self, *, host: str | None, origin: str | None, needs_origin: bool) -> bool:
        """True where a request was meant for us and comes from our own page.

        Host is checked too: a page whose name was rebound to our address would send its own.
        """
        if host not in self._hosts:
            return False
        if origin is None:
            return not needs_origin
        parts = urlsplit(origin)
        return parts.scheme == self._scheme and parts.netloc == host
