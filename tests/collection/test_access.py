"""Who may see the page, and who may drive."""

from __future__ import annotations

import hashlib
import ssl

from robokata.collection.page.access import Access
from robokata.collection.page.tls import addresses_of, certificate_for, context_of, is_loopback


def test_a_tokens_right_to_drive_is_spent_once() -> None:
    access = Access(["127.0.0.1:8100"], scheme="http")
    token = access.new_token()
    first, second = access.redeem(token), access.redeem(token)
    assert first is not None
    assert second is not None
    one, other = access.visitor(first), access.visitor(second)
    assert one is not None
    assert other is not None
    assert (one.may_drive, other.may_drive) == (True, False)
    assert access.redeem(token, known=first) == first, "the driver opens the link again and goes on driving"


def test_a_wrong_token_and_a_wrong_cookie_get_nothing() -> None:
    access = Access(["127.0.0.1:8100"], scheme="http")
    secret = access.redeem(access.new_token())
    for wrong in ("", "x", "é", access.new_token()[:-1]):
        assert access.redeem(wrong) is None
        assert access.visitor(wrong) is None
    assert access.visitor(None) is None
    assert access.redeem("wrong", known=secret) is None


def test_another_origin_and_another_host_are_not_ours() -> None:
    access = Access(["127.0.0.1:8100", "localhost:8100"], scheme="http")
    ours = {"host": "127.0.0.1:8100", "origin": "http://127.0.0.1:8100"}
    assert access.is_ours(**ours, needs_origin=True)
    for change in (
        {"origin": "http://evil.example"},
        {"origin": "https://127.0.0.1:8100"},
        {"origin": "http://127.0.0.1:8101"},
        {"origin": "null"},
        {"origin": None},
        {"host": "evil.example:8100"},
        {"host": None},
    ):
        assert not access.is_ours(**{**ours, **change}, needs_origin=True), change
    assert access.is_ours(host="localhost:8100", origin=None, needs_origin=False), "a person who types the address"


def test_the_certificate_names_every_address_and_its_fingerprint_is_what_browsers_show() -> None:
    made = certificate_for(["192.168.1.7", "127.0.0.1"])
    der = ssl.PEM_cert_to_DER_cert(made.certificate.decode())
    assert made.fingerprint.replace(":", "").lower() == hashlib.sha256(der).hexdigest()
    context_of(made)  # loads: certificate and key belong together


def test_only_loopback_is_loopback() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "192.168.1.7")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert addresses_of("192.168.1.7") == ["192.168.1.7"]
    assert addresses_of("0.0.0.0")[-1] == "127.0.0.1"
