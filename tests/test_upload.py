"""Evidence in a store: a real S3 server that checks keys and signatures, outages, kills, refusals, and a full disk."""

from __future__ import annotations

import json
import logging
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from edge.cli import main
from edge.config_file import read_config
from edge.errors import ConfigInvalid
from edge.evidence_settings import Evidence
from edge.evidence_store import EVENT_FILE, FOLDER, kept_evidence, make_room
from edge.hints import HINTS
from edge.labels import seconds_from_event_id
from edge.messages import Event, EventEvidence, EventTime, new_event_id, utc_from_seconds
from edge.store import StoreRefused
from edge.store_s3 import S3Store
from edge.take import evidence_at
from edge.upload_key import AccessKey, access_key, check_upload
from edge.upload_settings import Upload
from edge.uploader import MARK, UPLOAD_FAULTS, Retry, Uploader
from tests.brokers import HOST, free_port, make_certificate, mosquitto
from tests.commanding import served
from tests.daemons import write_config
from tests.holding import child_environment
from tests.publishing import wait_until
from tests.s3_server import S3Server, line, s3_server, tls_server

NOW = 1_800_000_000.0
QUICK = Retry(first_seconds=0.05, longest_seconds=0.2, refused_seconds=0.2, fault_after_seconds=0.3)


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for all tests of this file."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@dataclass(frozen=True)
class Shop:
    """A server and a bucket of the test's own."""

    server: S3Server
    bucket: str

    def names(self) -> list[str]:
        """What is in the bucket."""
        return self.server.names(self.bucket)

    def objects(self) -> dict[str, bytes]:
        """What is in the bucket, with every byte."""
        return self.server.objects(self.bucket)

    def files(self) -> dict[str, bytes]:
        """What is in the bucket, without the events."""
        return {name: data for name, data in self.objects().items() if not name.endswith(EVENT_FILE)}


@pytest.fixture
def shop(running_server: S3Server) -> Shop:
    """The server, with an empty bucket."""
    bucket = f"evidence-{secrets.token_hex(6)}"
    running_server.client.create_bucket(Bucket=bucket)
    return Shop(running_server, bucket)


def lay(state: Path, number: int, clip_bytes: int = 50_000) -> Event:
    """Lay down an event's evidence as the recorder leaves it; return the message that it was told with."""
    event_id = new_event_id(NOW + number, number.to_bytes(10, "big"))
    folder = state / FOLDER / "press3" / event_id
    folder.mkdir(parents=True)
    for name, size in (("clip.mp4", clip_bytes), ("strip.jpg", 900), ("trace.csv", 300)):
        (folder / name).write_bytes(os.urandom(size))
    told = evidence_at(folder, {"clip": "clip.mp4", "strip": "strip.jpg", "trace": "trace.csv"})
    end = Event(
        type="end", event_id=event_id, rev=3, site="plant7", device="edge1", camera="press3", kind="surprise",
        severity="alert", time=EventTime(clock="synced", start=utc_from_seconds(NOW)), evidence=told,
    )  # fmt: skip
    (folder / EVENT_FILE).write_bytes(msgspec.json.encode(end))
    return msgspec.structs.replace(end, type="evidence", rev=4)


def settings_of(port: int, bucket: str, **changes: object) -> Upload:
    """A bucket of the server at a port; answers are waited for a second."""
    upload = Upload(bucket=bucket, endpoint=f"http://{HOST}:{port}", prefix="west/", timeout_seconds=1.0)
    return msgspec.structs.replace(upload, **changes)


@contextmanager
def uploading(state: Path, shop: Shop, port: int | None = None, **changes: object) -> Iterator[Uploader]:
    """Run an uploader into the server, over a line at a port where one is given."""
    upload, key = settings_of(port or shop.server.port, shop.bucket), AccessKey(shop.server.key_id, shop.server.secret)
    options = {"open_store": lambda: S3Store(upload, key), "retry": QUICK} | changes
    uploader = Uploader(state, upload.prefix, **options)  # type: ignore[arg-type]
    try:
        yield uploader
    finally:
        uploader.close(5.0)


def told_by(uploader: Uploader, count: int) -> list[Event]:
    """Return so many messages, each published as the daemon does."""
    found: list[Event] = []

    def take() -> bool:
        for message in uploader.told():
            found.append(message)
            uploader.published(message)
        return len(found) >= count

    wait_until(take)
    return found


def files_of(state: Path) -> dict[str, bytes]:
    """What is to be in the store, by the names that it has there, without the events."""
    return {
        f"west/plant7/edge1/press3/{path.parent.name}/{path.name}": path.read_bytes()
        for path in (state / FOLDER).glob("press3/*/*")
        if path.name not in (EVENT_FILE, MARK)
    }


def test_evidence_is_in_the_store_byte_for_byte_and_the_message_says_where(tmp_path: Path, shop: Shop) -> None:
    """The addresses are those of the objects; the event lies beside them as it was published; the next `rev`."""
    with uploading(tmp_path, shop) as uploader:
        told = lay(tmp_path, 1)
        uploader.add(told)
        (message,) = told_by(uploader, 1)
        wait_until(lambda: uploader.waiting == 0)
    assert shop.files() == files_of(tmp_path)
    root = f"http://{HOST}:{shop.server.port}/{shop.bucket}/"
    assert message.evidence is not None
    assert message.evidence.clip == f"{root}west/plant7/edge1/press3/{told.event_id}/clip.mp4"
    assert (message.type, message.rev, message.evidence.heatmap) == ("evidence", told.rev + 1, None)
    place = f"west/plant7/edge1/press3/{told.event_id}/"
    assert msgspec.json.decode(shop.objects()[f"{place}{EVENT_FILE}"], type=Event) == message
    assert shop.server.client.head_object(Bucket=shop.bucket, Key=f"{place}clip.mp4")["ContentType"] == "video/mp4"


def test_the_queue_is_on_the_disk(tmp_path: Path, shop: Shop) -> None:
    """What an earlier start left is found, the oldest first; what was published is not uploaded again."""
    events = [lay(tmp_path, number) for number in (3, 1, 2)]
    with uploading(tmp_path, shop) as uploader:
        order = [message.event_id for message in told_by(uploader, 3)]
        wait_until(lambda: len(list(tmp_path.glob(f"*/*/*/{MARK}"))) == 3)
    assert order == [events[number].event_id for number in (1, 2, 0)]
    before = set(shop.names())
    with uploading(tmp_path, shop) as uploader:
        uploader.add(lay(tmp_path, 4))
        assert [message.event_id for message in told_by(uploader, 1)] == [
            new_event_id(NOW + 4, (4).to_bytes(10, "big"))
        ]
    assert len(set(shop.names()) - before) == 4


def test_what_was_uploaded_and_not_published_is_told_again(tmp_path: Path, shop: Shop) -> None:
    """A kill between the store and the outbox costs nothing: the same message comes at the next start."""
    lay(tmp_path, 1)
    found: list[Event] = []
    for count in (1, 2):
        with uploading(tmp_path, shop) as uploader:
            wait_until(lambda: len(found.extend(uploader.told()) or found) == count)  # noqa: B023 - waited for within
    assert (found[0].event_id, found[0].rev, found[0].evidence) == (found[1].event_id, found[1].rev, found[1].evidence)


def test_an_outage_in_the_middle_of_a_file_loses_nothing(tmp_path: Path, shop: Shop) -> None:
    """The line breaks within a clip: no half object, a fault after a while, and all of it once the line is back."""
    with line(shop.server.port) as to_server, uploading(tmp_path, shop, to_server.port) as uploader:
        to_server.bytes_left = 200_000
        for number in range(3):
            uploader.add(lay(tmp_path, number, 150_000))
        wait_until(lambda: uploader.fault == "upload_unreachable")
        files = files_of(tmp_path)
        assert uploader.waiting == 2
        assert all(files[name] == data for name, data in shop.files().items())
        to_server.mend()
        assert len(told_by(uploader, 3)) == 3
        wait_until(lambda: uploader.fault is None and uploader.waiting == 0)
    assert shop.files() == files


def test_a_store_that_swallows_everything_holds_up_nobody(tmp_path: Path, shop: Shop) -> None:
    """It never answers: each attempt ends, the river's calls return at once, and later everything arrives."""
    with line(shop.server.port) as to_server, uploading(tmp_path, shop, to_server.port) as uploader:
        to_server.is_stalled = True
        longest = 0.0
        for number in range(5):
            event = lay(tmp_path, number, 1000)
            begun = time.perf_counter()
            uploader.add(event)
            uploader.told()
            assert uploader.waiting >= 0
            longest = max(longest, time.perf_counter() - begun)
        wait_until(lambda: uploader.fault == "upload_unreachable")
        assert longest < 0.5, "a second is what an attempt waits; half of one is what two busy cores may cost"
        assert to_server.connections >= 2
        to_server.mend()
        assert len(told_by(uploader, 5)) == 5
    assert shop.files() == files_of(tmp_path)


KILLED = """
import sys, time
from pathlib import Path
from edge.store_s3 import S3Store
from edge.upload_key import AccessKey
from edge.upload_settings import Upload
from edge.uploader import Uploader
state, endpoint, bucket, key_id, secret = sys.argv[1:]
upload = Upload(bucket=bucket, endpoint=endpoint, prefix="west/")
uploader = Uploader(Path(state), upload.prefix, lambda: S3Store(upload, AccessKey(key_id, secret)))
while True:
    for message in uploader.told():
        uploader.published(message)
    time.sleep(0.001)
"""


def test_a_kill_in_the_middle_loses_nothing(tmp_path: Path, shop: Shop) -> None:
    """Killed twice with files under way: never half an object, and at the end everything is there and told."""
    for number in range(8):
        lay(tmp_path, number, 300_000)
    files, server = files_of(tmp_path), shop.server
    for parts in (2, 12):
        command = [sys.executable, "-c", KILLED, str(tmp_path), f"http://{HOST}:{server.port}", shop.bucket]
        process = subprocess.Popen([*command, server.key_id, server.secret], env=child_environment())
        try:
            wait_until(lambda: len(shop.names()) >= parts, 60.0)  # noqa: B023 - it is waited for within
        finally:
            process.kill()
            process.wait(5.0)
        assert all(files[name] == data for name, data in shop.files().items())
    marked = len(list(tmp_path.glob(f"*/*/*/{MARK}")))
    assert 0 < marked < 8, "it was killed in the middle"
    with uploading(tmp_path, shop) as uploader:
        assert len(told_by(uploader, 8 - marked)) == 8 - marked
        wait_until(lambda: len(list(tmp_path.glob(f"*/*/*/{MARK}"))) == 8)
    assert shop.files() == files


Keys = Callable[[S3Server], tuple[str, str]]
REFUSED: dict[str, tuple[Keys, str | None, str]] = {
    "wrong secret": (lambda one: (one.key_id, "not-the-secret-at-all"), None, "upload_refused"),
    "unknown key": (lambda one: ("AKIANOBODY", "not-the-secret-at-all"), None, "upload_refused"),
    "no right to write": (lambda one: (one.reader_id, one.reader_secret), None, "upload_refused"),
    "no such bucket": (lambda one: (one.key_id, one.secret), "elsewhere", "upload_bucket_missing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_a_fault_and_ends_when_its_cause_does(
    tmp_path: Path, shop: Shop, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The fault names it, the evidence waits, no secret is logged; a corrected key or bucket is taken by itself."""
    key_of, bucket, fault = REFUSED[name]
    server = shop.server
    key_id, secret = key_of(server)
    secret_file = tmp_path / "secret"
    secret_file.write_text(f"{secret}\n")
    settings = settings_of(server.port, bucket or shop.bucket, access_key_id=key_id, secret_key_file=str(secret_file))
    current = [settings]
    with (
        caplog.at_level(logging.DEBUG, "edge"),
        uploading(tmp_path, shop, open_store=lambda: S3Store(current[0], access_key(current[0]))) as uploader,
    ):
        uploader.add(lay(tmp_path, 1))
        wait_until(lambda: uploader.fault is not None)
        assert (uploader.fault, uploader.waiting, shop.objects()) == (fault, 1, {})
        assert fault in HINTS
        if name == "no such bucket":
            server.client.create_bucket(Bucket=bucket)
        else:
            secret_file.write_text(server.secret)
            current[0] = msgspec.structs.replace(settings, access_key_id=server.key_id)
        assert len(told_by(uploader, 1)) == 1
        wait_until(lambda: uploader.fault is None)
    assert "upload_refused waiting=1" in caplog.text
    assert secret not in caplog.text
    assert server.secret not in caplog.text


def test_one_that_is_refused_holds_up_no_other(tmp_path: Path) -> None:
    """It goes behind the others and is tried again and again."""
    bad, good = lay(tmp_path, 1), lay(tmp_path, 2)
    names: list[str] = []

    class Picky:
        """A store that does not like one event."""

        def put(self, name: str, source: Path | bytes) -> str:
            """Refuse what belongs to it."""
            if bad.event_id in name:
                names.append(name)
                raise StoreRefused("no.")
            return f"s3://{name}"

        def close(self) -> None:
            """Nothing is open."""

    uploader = Uploader(tmp_path, "", Picky, QUICK)
    try:
        assert [message.event_id for message in told_by(uploader, 1)] == [good.event_id]
        wait_until(lambda: len(names) >= 3)
        assert (uploader.waiting, uploader.fault) == (1, "upload_refused")
    finally:
        uploader.close()


def test_what_nobody_foresaw_costs_a_delay(tmp_path: Path) -> None:
    """The thread outlives it, the evidence stays in the queue, and is in the store at the next try."""
    event, failures = lay(tmp_path, 1), [KeyError("unforeseen")]

    class Broken:
        """A store whose library has a fault."""

        def put(self, name: str, source: Path | bytes) -> str:
            """Fail once."""
            if failures:
                raise failures.pop()
            return f"s3://{name}"

        def close(self) -> None:
            """Nothing is open."""

    uploader = Uploader(tmp_path, "", Broken, QUICK)
    try:
        assert [message.event_id for message in told_by(uploader, 1)] == [event.event_id]
        assert uploader.lost == 0
    finally:
        uploader.close()


@pytest.mark.parametrize("change", [{"endpoint": "http://my_store:9000"}, {"region": "eu west"}])
def test_an_address_that_cannot_be_asked_is_a_refusal(tmp_path: Path, change: dict[str, str]) -> None:
    """The fault says so, and the evidence waits until it is corrected."""
    lay(tmp_path, 1)
    upload = settings_of(9000, "bucket", **change)
    uploader = Uploader(tmp_path, "", lambda: S3Store(upload, AccessKey("id", "secret")), QUICK)
    try:
        wait_until(lambda: uploader.fault == "upload_refused")
        assert (uploader.waiting, uploader.lost) == (1, 0)
    finally:
        uploader.close()


def test_retention_goes_on_while_the_store_is_away(tmp_path: Path, shop: Shop) -> None:
    """The disk is wanted: clips and then whole events go; what is left is uploaded later, what is gone is counted."""
    with line(shop.server.port) as to_server, uploading(tmp_path, shop, to_server.port) as uploader:
        to_server.cut()
        events = [lay(tmp_path, number) for number in range(4)]
        for event in events:
            uploader.add(event)
        wait_until(lambda: uploader.waiting == 4)
        make_room(tmp_path / FOLDER, Evidence(free_megabytes=1.0), 1_000_000 - 201_000, NOW, is_clock_known=True)
        left = {one.event_id: set(one.files) for one in kept_evidence(tmp_path / FOLDER)}
        assert events[0].event_id not in left, "all clips, and the oldest event"
        to_server.mend()
        messages = told_by(uploader, 3)
        wait_until(lambda: uploader.waiting == 0)
        assert uploader.lost == 1
    assert {message.event_id for message in messages} == set(left)
    assert all(
        message.evidence == EventEvidence(status="ready", strip=message.evidence.strip, trace=message.evidence.trace)
        for message in messages
        if message.evidence
    )


def test_a_daemon_tells_first_where_evidence_lies_on_it_and_then_where_in_the_store(tmp_path: Path, shop: Shop) -> None:
    """With a store that swallows everything cameras are watched and evidence is recorded; later it is uploaded and told."""
    (tmp_path / "broker").mkdir()
    (tmp_path / "secret").write_text(shop.server.secret)
    with line(shop.server.port) as to_server, mosquitto(tmp_path / "broker") as broker:
        config = write_config(tmp_path, broker.port, loop=True)
        config.write_text(
            config.read_text()
            + "evidence:\n  pre_roll_seconds: 1\n  post_roll_seconds: 0.2\n  free_megabytes: 0\n"
            + f"  upload: {{bucket: {shop.bucket}, endpoint: 'http://{HOST}:{to_server.port}', timeout_seconds: 0.5, "
            + f"access_key_id: {shop.server.key_id}, secret_key_file: secret}}\n"
        )
        to_server.is_stalled = True
        with served(tmp_path, config, broker) as operator:
            event_id = operator.ask("test_event", {"camera": "quiet"})["result"]["event_id"]
            local = evidence_of(operator, event_id, "evidence/quiet")
            before = len(operator.heard)
            operator.wait("cam/quiet/score", before, b'"valid":true')
            assert shop.objects() == {}
            to_server.mend()
            stored = evidence_of(operator, event_id, "http://")
    assert stored["rev"] == local["rev"] + 1
    assert local["evidence"]["status"] == stored["evidence"]["status"] == "ready"
    for name in ("clip", "strip", "trace"):
        key = stored["evidence"][name].removeprefix(f"http://{HOST}:{to_server.port}/{shop.bucket}/")
        assert shop.objects()[key] == (tmp_path / "state" / local["evidence"][name]).read_bytes()


def evidence_of(operator: object, event_id: str, where: str) -> dict[str, dict[str, str]]:
    """Return the message about an event's evidence whose clip lies somewhere."""
    return json.loads(operator.wait("events", holding=f'"clip":"{where}'.encode()).payload)  # type: ignore[attr-defined]


WRONG = [
    ("bucket: E, access_key_id: A", "upload.bucket: 'E' is no bucket: 3 to 63 of a-z, 0-9, - and . are expected."),
    (
        "endpoint: s3.plant",
        "upload.endpoint: 's3.plant' is no store's address; write https://host or https://host:port.",
    ),
    (
        "endpoint: 'https://key:secret@s3.plant'",
        "upload.endpoint: holds a login; write https://host, access_key_id, and",
    ),
    ("prefix: /a", "upload.prefix: '/a' cannot begin an object's name; write such as factory/west/."),
    ("timeout_seconds: 0", "upload.timeout_seconds: 0 is not within 0.5 to 600 seconds."),
    ("bucket: abc", "upload.access_key_id: is missing; a store takes bucket, access_key_id and a secret key."),
    ("access_key_id: A", "upload.bucket: is missing; a store takes bucket, access_key_id and a secret key."),
    ("secret_key: x", "unknown key 'evidence.upload.secret_key'; did you mean 'secret_key_file'?"),
]


@pytest.mark.parametrize(("lines", "message"), WRONG, ids=[line for line, _ in WRONG])
def test_a_wrong_configuration_is_named(tmp_path: Path, lines: str, message: str) -> None:
    """With the key and what is expected."""
    config = tmp_path / "config.yaml"
    config.write_text(f"site: a\nbundle: b\ncameras: {{a: {{source: x.mp4}}}}\nevidence: {{upload: {{{lines}}}}}\n")
    with pytest.raises(ConfigInvalid) as refused:
        read_config(config)
    assert message in str(refused.value)
    assert "key:secret" not in str(refused.value)


def test_a_key_comes_from_a_file_or_from_the_environment_and_is_never_shown(tmp_path: Path) -> None:
    """The file is read anew each time; without either there is one sentence."""
    (tmp_path / "secret").write_text("s3cr3t\n")
    upload = Upload(bucket="abc", access_key_id="AKIA", secret_key_file=str(tmp_path / "secret"))
    assert access_key(upload, {}) == AccessKey("AKIA", "s3cr3t")
    assert "s3cr3t" not in repr(access_key(upload, {}))
    environment = {"PREDNET_STORE_SECRET_KEY": "other"}
    assert access_key(Upload(bucket="abc", access_key_id="AKIB"), environment) == AccessKey("AKIB", "other")
    with pytest.raises(ConfigInvalid, match="the store's secret key is missing; name its file in secret_key_file"):
        access_key(Upload(bucket="abc", access_key_id="AKIB"), {})
    (tmp_path / "secret").unlink()
    with pytest.raises(ConfigInvalid, match="the key cannot be read"):
        access_key(upload, {})


def test_check_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a camera is opened: the key, the certificate's authority, the library."""
    config = write_config(tmp_path, free_port())
    monkeypatch.delenv("PREDNET_STORE_SECRET_KEY", raising=False)
    config.write_text(config.read_text() + "evidence: {upload: {bucket: abc, access_key_id: A}}\n")
    assert main(["check", "--config", str(config)]) == 78
    assert "evidence.upload: the store's secret key is missing" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigInvalid, match=r"run: pip install 'prednet-edge\[s3\]'"):
        check_upload(Upload(bucket="abc"))
    monkeypatch.undo()
    (tmp_path / "secret").write_text("x")
    with pytest.raises(ConfigInvalid, match=r"/none\.pem: there is no such file"):
        check_upload(
            Upload(bucket="abc", access_key_id="A", secret_key_file=str(tmp_path / "secret"), ca_file="/none.pem")
        )


def test_a_certificate_that_is_not_trusted_is_a_refusal(tmp_path: Path) -> None:
    """Behind TLS: with the authority in `ca_file` it is taken, without it a person must act."""
    make_certificate(tmp_path)
    certificate = tmp_path / "server.pem"
    with tls_server(tmp_path, certificate, tmp_path / "server.key") as port:
        upload = Upload(bucket="secure", endpoint=f"https://{HOST}:{port}", timeout_seconds=5.0)
        with pytest.raises(StoreRefused, match="certificate is not trusted"):
            S3Store(upload, AccessKey("any", "any")).put("a.csv", b"1,2")
        trusting = msgspec.structs.replace(upload, ca_file=str(certificate))
        told = S3Store(trusting, AccessKey("any", "any")).put("a.csv", b"1,2")
    assert told == f"https://{HOST}:{port}/secure/a.csv"


def test_doctor_puts_a_small_object_where_evidence_goes(
    tmp_path: Path, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """An installer learns at once that the store takes it, or why it does not."""
    (tmp_path / "secret").write_text(shop.server.secret)
    config = write_config(tmp_path, free_port())
    upload = f"bucket: BUCKET, endpoint: 'http://{HOST}:{shop.server.port}', access_key_id: {shop.server.key_id}"
    sound = config.read_text() + f"evidence: {{upload: {{{upload}, secret_key_file: secret}}}}\n"
    told = {}
    for bucket in (shop.bucket, "elsewhere-at-all"):
        config.write_text(sound.replace("BUCKET", bucket))
        main(["doctor", "--config", str(config), "--json", "--user", "root"])
        found = json.loads(capsys.readouterr().out)
        (told[bucket],) = [(one["state"], one["told"]) for one in found if one["name"] == "store"]
    address = f"http://{HOST}:{shop.server.port}/{shop.bucket}/plant7/edge1/doctor.txt"
    assert told[shop.bucket] == ("ok", address)
    assert shop.names() == ["plant7/edge1/doctor.txt"]
    assert told["elsewhere-at-all"][0] == "failed"
    assert "no such bucket" in told["elsewhere-at-all"][1]


def test_every_fault_of_the_uploader_has_a_hint() -> None:
    """A person learns what to do."""
    assert set(UPLOAD_FAULTS) <= set(HINTS)


def test_evidence_of_no_use_is_given_up(tmp_path: Path) -> None:
    """A folder whose event cannot be read is counted and left alone; dropped evidence is not waited for."""
    event = lay(tmp_path, 1)
    (tmp_path / FOLDER / "press3" / event.event_id / EVENT_FILE).write_bytes(b"rubbish")
    uploader = Uploader(tmp_path, "", lambda: pytest.fail("nothing is to be put"), QUICK)
    try:
        uploader.add(msgspec.structs.replace(event, event_id="E2", evidence=EventEvidence(status="dropped")))
        wait_until(lambda: (uploader.lost, uploader.waiting) == (1, 0))
        assert seconds_from_event_id(event.event_id) == pytest.approx(NOW + 1, abs=0.01)
    finally:
        uploader.close()


def test_a_file_that_somebody_left_among_the_evidence_is_no_evidence(tmp_path: Path) -> None:
    """It is not tried, and not counted as lost at each start."""
    (tmp_path / FOLDER / "cam").mkdir(parents=True)
    (tmp_path / FOLDER / "cam" / "Thumbs.db").write_bytes(b"x")
    uploader = Uploader(tmp_path, "", lambda: pytest.fail("nothing is to be put"), QUICK)
    assert uploader.waiting == 0
    uploader.close()
    assert uploader.lost == 0
