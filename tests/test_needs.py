"""What tests need and is absent: a skip on a user's machine, a failure in CI, never silence."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest

from tests.needs import need, need_program, need_root, need_system_python


@pytest.mark.parametrize("is_ci", [True, False])
@pytest.mark.parametrize(
    "needed", [need_root, need_system_python, lambda: need_program("no-such-program"), lambda: need("no_such_module")]
)
def test_what_is_absent_fails_in_ci_and_skips_elsewhere(
    needed: Callable[[], object], is_ci: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No root, no Python of the system, no program, no library."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setenv("CI", "true" if is_ci else "")
    with pytest.raises(pytest.fail.Exception if is_ci else pytest.skip.Exception):
        needed()


def test_what_is_there_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither skipped nor failed."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name, **__: f"/usr/bin/{name}")
    need_root()
    assert need_program("gcc") == "/usr/bin/gcc"
    assert need_system_python().startswith("/usr/bin/python3.")
    assert need("shutil") is shutil


def test_the_package_that_brings_a_program_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own name, or the one that was named."""
    monkeypatch.setenv("CI", "true")
    for words, package in ((("gawk-none",), "gawk-none"), (("ip-none", "iproute2"), "iproute2")):
        with pytest.raises(pytest.fail.Exception, match=f"apt-get install {package}$"):
            need_program(*words)
