"""The files of a TLS connection, tried before there is a connection."""

from __future__ import annotations

from edge.errors import ConfigInvalid
from edge.mqtt.connection import BrokerSettings, TlsFiles, new_client


def check_tls(settings: BrokerSettings) -> None:
    """Raise ConfigInvalid where a file of the TLS connection cannot be read, or is no certificate or key."""
    files = settings.tls or TlsFiles()
    for file in filter(None, (files.ca, files.certificate, files.key)):
        try:
            file.read_bytes()
        except OSError as error:
            raise ConfigInvalid(
                f"{file}: this TLS file of the connection to the broker cannot be read ({error.strerror}); "
                f"put it there, as PEM."
            ) from error
    try:
        new_client(settings, "5")
    except OSError as error:  # as ssl.SSLError is
        told = ", ".join(str(file) for file in (files.ca, files.certificate, files.key) if file)
        raise ConfigInvalid(
            f"{told}: these TLS files of the connection to the broker do not serve ({error.args[-1]}); "
            f"certificates and the certificate's own key are expected, as PEM, without a passphrase."
        ) from error
