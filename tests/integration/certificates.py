"""A certificate authority that lives as long as the tests, and a server certificate of it."""

from __future__ import annotations

import pathlib
import ssl
import subprocess
from dataclasses import dataclass

from .servers import required

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
# Python 3.13 verifies strictly: both need key identifiers, the authority its basic constraints.
EXTENSIONS = """\
subjectAltName = DNS:localhost, IP:127.0.0.1
basicConstraints = critical, CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
CONFIGURATION = """\
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files: the authority, and the server's chain and key."""

    authority: str
    chain: str
    key: str

    def server_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.chain, self.key)
        return context

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)


def make_certificates(directory: pathlib.Path) -> Certificates:
    program = required("openssl", "openssl")

    def openssl(*arguments: str) -> None:
        subprocess.run([program, *arguments], cwd=directory, check=True, capture_output=True)

    (directory / "authority.cnf").write_text(CONFIGURATION)
    (directory / "server.ext").write_text(EXTENSIONS)
    openssl(
        *("req", "-x509", *CURVE, "-days", "2", "-config", "authority.cnf"),
        *("-subj", "/CN=zcloop test authority", "-keyout", "authority.key"),
        *("-out", "authority.pem"),
    )
    openssl(
        *("req", "-new", *CURVE, "-config", "authority.cnf", "-subj", "/CN=localhost"),
        *("-keyout", "server.key", "-out", "server.csr"),
    )
    openssl(
        *("x509", "-req", "-in", "server.csr", "-days", "2", "-extfile", "server.ext"),
        *("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial"),
        *("-out", "server.pem"),
    )
    return Certificates(
        *(str(directory / name) for name in ("authority.pem", "server.pem", "server.key"))
    )
