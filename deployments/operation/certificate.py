"""The key of a Dask cluster: made once for each home, for its owner alone.

Dask asks for no password: who reaches a scheduler runs code as its owner. With TLS it talks only
to those who have the key of a certificate that it knows. Scheduler, workers and clients of an
`hstflow up` have the same one.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

from calib.errors import ConfigError
from deployments.operation.secret import check_private, write_once

NAME = "dask.pem"

# Dask's own settings, which `dask.config` reads; the file has certificate and key, and the
# certificate is signed by itself: what is trusted is what is shown.
PREFIX = "DASK_DISTRIBUTED__COMM__TLS__"
CA_FILE = f"{PREFIX}CA_FILE"
VARIABLES = (CA_FILE, *(f"{PREFIX}{role}__CERT" for role in ("SCHEDULER", "WORKER", "CLIENT")))
# For the scheduler and its workers alone: a campaign's own cluster in the same environment talks
# in clear, to itself.
REQUIRED = "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"

# "No well-defined expiration date" (RFC 5280, 4.1.2.5), and long ago: a year's operation must not
# end with a certificate, nor a clock that jumps keep a cluster from starting.
SINCE = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
UNTIL = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


def encrypted(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return what leads Dask's programs and clients to the certificate.

    Parameters
    ----------
    environ
        The operator's variables: certificates that he names there are used instead.
    folder
        The folder of `hstflow up`, in which the certificate is made where there is none.

    Raises
    ------
    ConfigError
        Others can read the file, or it is of somebody else, or none.
    """
    if environ.get(CA_FILE):
        return named_in(environ)
    return dict.fromkeys(VARIABLES, str(certificate_of(folder)))


def named_in(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that say which certificates Dask uses."""
    return {name: each for name, each in environ.items() if name.startswith(PREFIX)}


def certificate_of(folder: Path) -> Path:
    """Return the file with certificate and key of a home, which is made where there is none.

    Raises
    ------
    ConfigError
        Others can read the file, or it is of somebody else, or none.
    """
    path = folder / NAME
    if not path.exists():
        write_once(path, _new_pair())
    check_private(path, "the key")
    text = path.read_text(encoding="ascii", errors="replace")
    if "BEGIN CERTIFICATE" not in text or "BEGIN PRIVATE KEY" not in text:
        raise ConfigError("no certificate: remove the file, and a new one is made", path=path)
    return path


def _new_pair() -> str:
    """Return a new certificate and its key, PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _name())])
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(SINCE)
        .not_valid_after(UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (certificate.public_bytes(encoding) + secret).decode("ascii")


def _name() -> str:
    """Return a name that no other certificate has: whoever looks for it finds one key."""
    return f"hstflow up, {socket.gethostname()[:20]}, {os.getuid()}, {secrets.token_hex(4)}"
