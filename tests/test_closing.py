"""What an export opens it closes, where its work breaks off too."""

from __future__ import annotations

from typing import Any

import pytest

from calibration.asked import Asked
from edge.errors import PrednetError
from export import golden, making
from export.variants import settling
from export.variants.settling import fitted
from tests.test_making import CLIPS, FLOAT, SOURCE, quiet

WANTED = making.Wanted(("float",), False, True, 1000, "", "", Asked())
OPENING = {
    "error maps": (settling, "open_runner", lambda: settling.maps(FLOAT, CLIPS)),
    "a variant's fit": (settling, "open_runner", lambda: fitted(SOURCE, FLOAT, quiet)),
    "activations": (settling, "OnnxRunner", lambda: settling._observed(SOURCE, FLOAT, CLIPS, "", quiet)),
    "the float step's fit": (making, "open_runner", lambda: making._float(SOURCE, WANTED, quiet)),
    "golden answers": (golden, "open_runner", lambda: golden.golden_answer(FLOAT, CLIPS[0].images[:2])),
}


@pytest.mark.parametrize("name", OPENING)
def test_a_runner_is_closed_where_its_work_breaks_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one that was opened, whatever it was opened for."""
    module, opener, work = OPENING[name]
    is_open: dict[int, bool] = {}

    def opens(*given: Any, **more: Any) -> Any:
        runner = opener_of(*given, **more)
        is_open[id(runner)] = True
        monkeypatch.setattr(runner, "step", broken)
        monkeypatch.setattr(runner, "close", lambda: is_open.update({id(runner): False}))
        return runner

    opener_of = getattr(module, opener)
    monkeypatch.setattr(module, opener, opens)
    with pytest.raises(PrednetError, match="broken"):
        work()
    assert is_open
    assert not any(is_open.values())


def broken(*_: object) -> None:
    """A step of a device that is gone."""
    raise PrednetError("broken")
