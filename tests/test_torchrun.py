"""Training under torchrun, which stands for several GPUs or machines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.needs import need

need("torch")

from export.checkpoint import load_checkpoint  # noqa: E402 - after the check that torch is there
from tests.test_training import QUICK, kill_soon  # noqa: E402

ROOT = Path(__file__).parents[1]

TORCHRUN_SCRIPT = """
import sys
from pathlib import Path
import numpy as np, torch
from tests.test_training import QUICK, SMALL, square_clip
from export.learning import training
torch.set_num_threads(1)
folder = Path(sys.argv[1])
learned = training._learn
def watched(learner, *rest):
    seconds = learned(learner, *rest)
    name = folder / f"rank{learner.team.rank}.npz"
    np.savez(name, lane=learner.lanes.rank, **training.weights_of(learner.network))
    return seconds
training._learn = watched
report = training.train([square_clip()], SMALL, QUICK, folder / "net.safetensors", lambda _: None)
print("report" if report else "silent", flush=True)
"""


def test_torchrun(tmp_path: Path) -> None:
    """Two processes take every step together: equal weights, other sequences, one checkpoint, one report."""
    script = tmp_path / "ranks.py"
    script.write_text(TORCHRUN_SCRIPT)
    kill_soon(tmp_path / "net.safetensors", QUICK)  # so that both ranks go on from the same place
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(done.stdout.split()) == ["report", "silent"]
    first, second = (np.load(tmp_path / f"rank{rank}.npz") for rank in (0, 1))
    assert (int(first["lane"]), int(second["lane"])) == (0, 1)
    names = set(first.files) - {"lane"}
    assert all(np.array_equal(first[name], second[name]) for name in names)
    _, weights, _ = load_checkpoint(tmp_path / "net.safetensors")
    assert all(np.array_equal(first[name], weights[name]) for name in names)
