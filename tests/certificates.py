"""A certificate authority of a test's own, a server's certificate and a client's, as files and as contexts."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

__all__ = ["CLIENT", "Certificates", "certificates"]

CLIENT = "the-attacker"
"""The common name in the client's certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """What one authority has issued, for the loopback address and for `CLIENT`."""

    root: Path
    cert: Path
    key: Path
    both: Path
    """Certificate and key in one file."""
    server: ssl.SSLContext
    """Speaks HTTP/2, and HTTP/1.1 where the client does not."""
    checking: ssl.SSLContext
    """Talks with clients of this authority only."""


def certificates(folder: Path) -> Certificates:
    """Issue certificates, and write into a folder what a client needs."""
    authority = trustme.CA()
    served = authority.issue_cert("127.0.0.1", "localhost")
    client = authority.issue_cert("attacker@loadtest.example", common_name=CLIENT)
    files = {name: folder / f"{name}.pem" for name in ("root", "cert", "key", "both")}
    authority.cert_pem.write_to_path(str(files["root"]))
    client.cert_chain_pems[0].write_to_path(str(files["cert"]))
    client.private_key_pem.write_to_path(str(files["key"]))
    client.private_key_and_cert_chain_pem.write_to_path(str(files["both"]))
    server, checking = _context(served), _context(served)
    authority.configure_trust(checking)
    checking.verify_mode = ssl.CERT_REQUIRED
    return Certificates(**files, server=server, checking=checking)


def _context(served: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    served.configure_cert(context)
    return context
