import re
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from attacker.exits import InvalidLoadTestError
from attacker.sending import USUAL, Sending
from attacker.tls import FOLDER_VARIABLE, check_certificates, located, tls_context
from tests.certificates import Certificates, certificates


@pytest.fixture
def issued(tmp_path: Path) -> Certificates:
    return certificates(tmp_path)


def test_the_systems_authorities_are_trusted_unless_others_are_named(issued: Certificates) -> None:
    of_system, own = tls_context(USUAL), tls_context(Sending(root_certs=(str(issued.root),)))

    assert of_system.cert_store_stats() == ssl.create_default_context().cert_store_stats()
    assert own.cert_store_stats()["x509"] == 1
    assert (own.verify_mode, own.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_several_files_of_authorities_are_trusted_together(issued: Certificates, tmp_path: Path) -> None:
    (tmp_path / "another").mkdir()
    another = certificates(tmp_path / "another")

    context = tls_context(Sending(root_certs=(str(issued.root), str(another.root))))

    assert context.cert_store_stats()["x509"] == 2


def test_nothing_is_checked_where_that_is_asked_for() -> None:
    context = tls_context(Sending(insecure=True))

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_a_clients_certificate_and_its_key_can_be_in_one_file_and_in_two(issued: Certificates) -> None:
    check_certificates(Sending(cert=str(issued.both)))
    check_certificates(Sending(cert=str(issued.cert), key=str(issued.key)))


def test_without_a_file_there_is_nothing_to_check() -> None:
    check_certificates(USUAL)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"root_certs": ("gone.pem",)}, "root_certs is '{}/gone.pem': No such file or directory: give a PEM file"),
        ({"root_certs": (".",)}, "root_certs is '{}': Is a directory: give a PEM file that whoever attacks can read"),
        ({"root_certs": ("root.pem", "odd.pem")}, "root_certs is '{}/odd.pem': it holds no certificate: give a PEM"),
        ({"cert": "gone.pem"}, "cert is '{}/gone.pem': No such file or directory: give a PEM file that whoever"),
        ({"cert": "cert.pem", "key": "gone.pem"}, "key is '{}/gone.pem': No such file or directory: give a PEM"),
        ({"cert": "cert.pem"}, "cert is '{}/cert.pem' without a key: they are no certificate and its key: give PEM"),
        ({"cert": "odd.pem"}, "cert is '{}/odd.pem' without a key: they are no certificate and its key: give PEM"),
        (
            {"cert": "root.pem", "key": "key.pem"},
            "cert is '{0}/root.pem', key is '{0}/key.pem': they do not belong together: give PEM files",
        ),
    ],
    ids=["no file", "a folder", "no certificate", "no cert", "no key", "no key in it", "no PEM", "another's key"],
)
def test_a_file_that_cannot_be_used_is_told_with_its_place_and_the_remedy(
    issued: Certificates, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], told: str
) -> None:
    folder = issued.root.parent
    (folder / "odd.pem").write_text("odd")
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))

    with pytest.raises(InvalidLoadTestError, match=f"^{re.escape(told.format(folder))}.*$"):
        check_certificates(Sending(**options))  # type: ignore[arg-type]


# Python would ask for the password on the terminal, and wait.
def test_a_key_that_is_encrypted_is_refused_and_nobody_is_asked(issued: Certificates, tmp_path: Path) -> None:
    encrypted = tmp_path / "encrypted.pem"
    key = load_pem_private_key(issued.key.read_bytes(), password=None)
    encrypted.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")))

    with pytest.raises(InvalidLoadTestError, match="key is encrypted, and vegeta asks nobody for a password"):
        check_certificates(Sending(cert=str(issued.cert), key=str(encrypted)))


def test_a_relative_path_is_below_the_folder_of_certificates_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sending = Sending(root_certs=("ca.pem", "/etc/ca.pem"), cert="a/cert.pem", key="~/key.pem")
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.chdir(tmp_path)
    here = located(sending)
    monkeypatch.setenv(FOLDER_VARIABLE, "/certs")
    there = located(sending)

    assert here == Sending(
        root_certs=(f"{tmp_path}/ca.pem", "/etc/ca.pem"), cert=f"{tmp_path}/a/cert.pem", key="/home/somebody/key.pem"
    )
    assert there == Sending(
        root_certs=("/certs/ca.pem", "/etc/ca.pem"), cert="/certs/a/cert.pem", key="/home/somebody/key.pem"
    )
    assert located(USUAL) == USUAL
