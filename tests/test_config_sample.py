"""The sample configuration and the schema for editors: every key, its words, its default, and what editors refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_type_hints

import jsonschema
import msgspec
import pytest
import yaml

from edge.config import Camera, Config
from edge.config_file import config_from_text
from edge.config_sample import ANY, SCHEMA_FILE, comments_of, sample_text, schema_text, with_examples
from edge.profiles import Line, Profile
from edge.zones import Zone
from tests.understood import understood

HERE = Path("/etc/prednet-edge/config.yaml")
# Numbers that have no unit: counts, a port, a share of effort, a factor.
PURE = {"port", "threads", "level", "sensitivity"}
# Numbers whose whole name is their unit.
UNITS = re.compile(
    r"(^|_)(seconds|hz|mib|megabytes|minutes|hours|days|share|width|height|per_day|per_hour|days_of_minor)$"
)


def every_key() -> dict[tuple[str, ...], Any]:
    """Return every key that the types know, by path, with its type; names that a user chooses are `*`."""
    found: dict[tuple[str, ...], Any] = {}

    def below(kind: Any, path: tuple[str, ...]) -> None:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            for name, inner in get_type_hints(kind).items():
                found[(*path, name)] = inner
                below(inner, (*path, name))
        elif getattr(kind, "__origin__", None) is dict:
            below(kind.__args__[1], (*path, ANY))

    below(Config, ())
    return found


def test_every_key_stands_in_the_sample_with_a_comment_of_its_own() -> None:
    """What the types know and what the sample says is the same list, and no comment is empty."""
    comments = comments_of(with_examples(sample_text()))
    named = {path: told for path, told in comments.items() if path[-1] != ANY}
    assert set(named) == set(every_key())
    assert [path for path, told in comments.items() if len(told) < 5] == []


def test_the_sample_is_equal_to_the_defaults() -> None:
    """A configuration of nothing but what must be given is the same one."""
    least = "site: plant7\nbundle: press.prednet\ncameras: {press3: {source: 'rtsp://10.0.0.9/stream'}}\n"
    assert config_from_text(sample_text(), HERE) == config_from_text(least, HERE)


def test_the_examples_of_the_sample_are_a_valid_configuration_with_all_that_it_names() -> None:
    """Uncommented, each example is read: zones, profiles and a line with every key that they know."""
    text = with_examples(sample_text())
    config = config_from_text(text, HERE)
    camera = config.cameras["press3"]
    assert (len(camera.privacy_masks), len(camera.ignore_masks)) == (2, 1)
    assert camera.zones["ram"].sensitivity == 1.0
    assert camera.profiles["night"].values == ("running",)
    assert camera.line == Line(topic="plant7/press3/mode")
    written = yaml.safe_load(text)["cameras"]["press3"]
    for kind, keys in ((Camera, written), (Zone, written["zones"]["ram"]), (Profile, written["profiles"]["night"])):
        assert set(keys) == set(kind.__struct_fields__)


def test_every_number_has_its_unit_in_its_name() -> None:
    """`hold_seconds`, never `hold`; what counts things or is a factor is on a short list."""
    numbers = {path[-1] for path, kind in every_key().items() if {int, float} & {kind, *getattr(kind, "__args__", ())}}
    assert {name for name in numbers if not UNITS.search(name)} == PURE


def test_the_shipped_schema_is_the_one_of_the_types() -> None:
    """To write it anew: prednet-edge config schema > edge/data/config.schema.json."""
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text()


def validator() -> jsonschema.Draft202012Validator:
    """Return what an editor does with the schema."""
    document = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.mark.parametrize("text", [sample_text(), with_examples(sample_text())], ids=["defaults", "examples"])
def test_an_editor_takes_the_sample(text: str) -> None:
    """The schema refuses nothing of it."""
    assert [error.message for error in validator().iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("site: plant7", "sight: plant7"),
        ("bundle: press.prednet\n", ""),
        ("  port: 1883", "  port: soon"),
        ("    capture: auto", "    capture: vlc"),
        ("  hold_seconds: 1.5", "  hold: 1.5"),
        ("    source: rtsp://10.0.0.9/stream\n", ""),
        ("    privacy_masks: []", "    privacy_masks: [[0, 1]]"),
    ],
)
def test_an_editor_refuses_what_the_types_refuse(line: str, wrong: str) -> None:
    """Unknown keys, missing keys, wrong types and words are underlined while they are typed."""
    assert line in sample_text()
    document = yaml.safe_load(sample_text().replace(line, wrong, 1).replace('predictor: ""\n', ""))
    assert list(validator().iter_errors(document))


def test_the_schema_describes_every_key_in_the_words_of_the_sample() -> None:
    """What an editor shows on hovering is the comment."""
    described = json.loads(schema_text())["$defs"]
    assert described["Detection"]["properties"]["hold_seconds"]["description"] == "A shorter one is none."
    assert all("description" in one for part in described.values() for one in part.get("properties", {}).values())


@pytest.mark.parametrize("verb", ["sample", "schema", "show --origin --config x", "show --json --config x"])
def test_the_commands_are_understood(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the help writes them."""
    understood(f"prednet-edge config {verb}", monkeypatch)
