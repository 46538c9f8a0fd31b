"""A real S3 server for tests, in a process of its own, that checks keys, signatures and rights; and a line to it that fails."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.brokers import HOST, free_port
from tests.needs import need

# Two users, their keys and rights are made before the server begins to check who asks.
_UNCHECKED_ACTIONS = 6


@dataclass(frozen=True)
class S3Server:
    """Where it listens, the key of a user who may do everything, and that of one who may only read."""

    port: int
    key_id: str
    secret: str
    reader_id: str
    reader_secret: str

    @functools.cached_property
    def client(self) -> Any:
        """A client of the first user's."""
        return _client("s3", f"http://{HOST}:{self.port}", self.key_id, self.secret)

    def names(self, bucket: str) -> list[str]:
        """Return the names of what lies in a bucket."""
        return [one["Key"] for one in self.client.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Return what lies in a bucket."""
        return {name: self.client.get_object(Bucket=bucket, Key=name)["Body"].read() for name in self.names(bucket)}


@contextmanager
def tls_server(folder: Path, certificate: Path, key: Path) -> Iterator[int]:
    """Run a server behind TLS that takes every key, with one bucket, `secure`; yield its port."""
    port = free_port()
    with _process(folder, port, {}, ["-s", "-c", str(certificate), "-k", str(key)]):
        client = _client("s3", f"https://{HOST}:{port}", "any", "any", str(certificate))
        client.create_bucket(Bucket="secure")
        yield port


def _client(service: str, address: str, key_id: str, secret: str, verify: str | None = None) -> Any:
    session = need("botocore.session").Session()
    config = need("botocore.config").Config(s3={"addressing_style": "path"})
    return session.create_client(
        service, region_name="us-east-1", endpoint_url=address, aws_access_key_id=key_id,
        aws_secret_access_key=secret, verify=verify, config=config,
    )  # fmt: skip


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run the server until the end, with two users and no bucket."""
    port = free_port()
    with _process(folder, port, {"INITIAL_NO_AUTH_ACTION_COUNT": str(_UNCHECKED_ACTIONS)}, []):
        yield S3Server(port, *_users(port))


@contextmanager
def _process(folder: Path, port: int, environment: dict[str, str], options: list[str]) -> Iterator[None]:
    need("moto")
    with (folder / "s3.log").open("wb") as log:
        command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port), *options]
        process = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30.0
        while True:
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1.0):
                break
            assert process.poll() is None, (folder / "s3.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait(5.0)


def _users(port: int) -> list[str]:
    users = _client("iam", f"http://{HOST}:{port}", "nobody", "nothing")
    keys: list[str] = []
    for name, actions in (("edge", ["s3:*"]), ("reader", ["s3:GetObject", "s3:ListBucket"])):
        users.create_user(UserName=name)
        key = users.create_access_key(UserName=name)["AccessKey"]
        keys += [key["AccessKeyId"], key["SecretAccessKey"]]
        rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        users.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=json.dumps(rights))
    return keys


class Line:
    """A TCP line to a server that can be cut, also after so many bytes, and that can swallow what it is given."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self.bytes_left: int | None = None
        self.is_cut = self.is_stalled = False
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break what is open, and take nothing more."""
        self.is_cut = True
        self._break()

    def mend(self) -> None:
        """Let everything through again."""
        self.bytes_left, self.is_cut, self.is_stalled = None, False, False
        self._break()

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._break()

    def _break(self) -> None:
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                if self.is_cut:
                    near.close()
                    continue
                far = socket.create_connection((HOST, self._target))
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, target, source is near), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, is_up: bool) -> None:
        self._open |= {source, target}
        with source, contextlib.suppress(OSError):
            while data := source.recv(4096):
                while self.is_stalled and not self.is_cut:
                    time.sleep(0.01)
                if is_up and self.bytes_left is not None:
                    self.bytes_left -= len(data)
                    if self.bytes_left < 0:
                        self.cut()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        self._open -= {source, target}


@contextmanager
def line(port: int) -> Iterator[Line]:
    """Run a line until the end."""
    found = Line(port)
    try:
        yield found
    finally:
        found.close()
