"""A certificate authority for tests: certificates with any name and any dates."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

from tests.brokers import HOST
from tests.needs import need_program

_CONFIGURATION = """
[ca]
default_ca = authority
[authority]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = names
copy_extensions = copy
unique_subject = no
[names]
commonName = supplied
"""


class Authority:
    """A CA of its own in a folder; `certificate` is what others must trust."""

    def __init__(self, folder: Path, name: str = "plant-ca") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.certificate = folder / "ca.pem"
        (folder / "index").touch()
        (folder / "openssl.cnf").write_text(_CONFIGURATION.format(folder=folder), encoding="utf-8")
        self._openssl(
            f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name} "
            f"-keyout {folder}/ca.key -out {self.certificate} -addext basicConstraints=critical,CA:TRUE"
        )

    def issue(
        self, name: str, *, begins_days: float = -1.0, ends_days: float = 1.0, address: str = HOST
    ) -> tuple[Path, Path]:
        """Return certificate and key of a name, valid between two moments in days from now, for one address."""
        certificate, key, request = (self._folder / f"{name}.{ending}" for ending in ("pem", "key", "csr"))
        self._openssl(
            f"req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} "
            f"-keyout {key} -out {request} -addext subjectAltName=IP:{address}"
        )
        self._openssl(
            f"ca -batch -notext -config {self._folder}/openssl.cnf -cert {self.certificate} -keyfile {self._folder}/ca.key "
            f"-in {request} -out {certificate} -startdate {_moment(begins_days)} -enddate {_moment(ends_days)}"
        )
        return certificate, key

    def _openssl(self, arguments: str) -> None:
        subprocess.run([need_program("openssl"), *arguments.split()], check=True, capture_output=True)


def _moment(days: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")
