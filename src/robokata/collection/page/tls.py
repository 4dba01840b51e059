"""A certificate of our own, for headsets on the local network: browsers give WebXR to secure pages only."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.require import require

_VALID_DAYS = 30
"""It is made anew for every run; a month covers a server that is left running."""


class Certificate(NamedTuple):
    """A self-signed certificate and its key, PEM, and what a person compares."""

    certificate: bytes
    key: bytes
    fingerprint: str
    """SHA-256 of the certificate, as browsers show it."""


def is_loopback(host: str) -> bool:
    """True where only this machine can connect."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def addresses_of(host: str) -> list[str]:
    """Addresses under which others reach a server that listens on `host`."""
    if host not in ("0.0.0.0", "::"):
        return [host]
    found = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: connecting a datagram socket only asks the routing table for our address.
            probe.connect(("192.0.2.1", 9))
            found.add(str(probe.getsockname()[0]))
        except OSError:
            pass
    return [*sorted(each for each in found if not is_loopback(each)), "127.0.0.1"]


def certificate_for(addresses: Iterable[str]) -> Certificate:
    """A certificate that names these addresses."""
    x509: Any = require("cryptography.x509", extra="collect")
    hashes: Any = require("cryptography.hazmat.primitives.hashes", extra="collect")
    ec: Any = require("cryptography.hazmat.primitives.asymmetric.ec", extra="collect")
    serialization: Any = require("cryptography.hazmat.primitives.serialization", extra="collect")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Robokata collect")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([_name(x509, each) for each in addresses])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # An hour back: a headset's clock may be behind.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    return Certificate(
        certificate.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain),
        certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
    )


def context_of(certificate: Certificate) -> ssl.SSLContext:
    """A server's context. The key touches the disk in a private folder, for as long as loading takes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory(prefix="robokata-tls-") as folder:
        path = Path(folder) / "pem"
        path.touch(mode=0o600)
        path.write_bytes(certificate.certificate + certificate.key)
        context.load_cert_chain(os.fspath(path))
    return context


def _name(x509: Any, address: str) -> Any:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)
