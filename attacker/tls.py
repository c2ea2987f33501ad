"""The files that TLS needs: where they lie, whether they can be read, and what Python makes of them as vegeta does."""

import os
import ssl
from dataclasses import replace
from pathlib import Path

from attacker.exits import InvalidLoadTestError
from attacker.sending import Sending

__all__ = ["FOLDER_VARIABLE", "check_certificates", "located", "tls_context"]

FOLDER_VARIABLE = "LOADTEST_CERTS"
"""Names the folder that relative paths are below: else it is the working directory."""


def located(sending: Sending) -> Sending:
    """Give every file its whole path on this machine."""
    return replace(
        sending,
        root_certs=tuple(_whole(path) for path in sending.root_certs),
        cert=None if sending.cert is None else _whole(sending.cert),
        key=None if sending.key is None else _whole(sending.key),
    )


def check_certificates(sending: Sending) -> None:
    """Find out before an attack whether vegeta will be able to use the files. Raises as `tls_context` does."""
    if sending.root_certs or sending.cert is not None:
        tls_context(sending)


def tls_context(sending: Sending) -> ssl.SSLContext:
    """Make for Python what vegeta makes for Go of the same options.

    Raises:
        InvalidLoadTestError: a file cannot be read, or does not hold what it is to hold.
    """
    sending = located(sending)
    context = _trusting(sending.root_certs) if sending.root_certs else ssl.create_default_context()
    # As Go has it: names stand in a certificate's alternative names, and whatever is trusted may end a chain.
    context.hostname_checks_common_name = False
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
    if sending.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if sending.cert is not None:
        _present(context, sending.cert, sending.key)
    return context


def _whole(path: str) -> str:
    return str((Path(os.environ.get(FOLDER_VARIABLE, "")) / Path(path).expanduser()).absolute())


def _trusting(root_certs: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for path in root_certs:
        _check_readable("root_certs", path)
        try:
            context.load_verify_locations(path)
        except ssl.SSLError as error:
            raise InvalidLoadTestError(f"root_certs is {path!r}: it holds no certificate: give a PEM file") from error
    return context


def _present(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    _check_readable("cert", cert)
    if key is not None:
        _check_readable("key", key)
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        where = f"cert is {cert!r}, key is {key!r}" if key else f"cert is {cert!r} without a key"
        why = "they do not belong together" if "MISMATCH" in str(error) else "they are no certificate and its key"
        raise InvalidLoadTestError(f"{where}: {why}: give PEM files, or one that holds both") from error


def _check_readable(name: str, path: str) -> None:
    try:
        with Path(path).open("rb") as file:
            file.read(1)
    except OSError as error:
        raise InvalidLoadTestError(
            f"{name} is {path!r}: {error.strerror}: give a PEM file that whoever attacks can read"
        ) from error


def _no_password() -> str:
    raise InvalidLoadTestError("key is encrypted, and vegeta asks nobody for a password: give it decrypted")
