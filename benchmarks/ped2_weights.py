"""Makes benchmarks/weights anew: three networks trained on Ped2's normal clips, one seed each, kept as float16.

    python benchmarks/ped2_weights.py [--dataset FOLDER] [--minutes 15] [--seeds 0 1 2]

About 15 minutes a seed on one core. The weights hold no frame of the data set.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from machine import DATA, ROOT

from export.checkpoint import load_checkpoint, save_checkpoint

PED2 = DATA / "ped2"
WEIGHTS = ROOT / "benchmarks" / "weights"
OPTIONS = ["--channels", "1,12,24,48", "--r-channels", "4,12,24,48"]


def main() -> int:
    """Train every seed, and keep what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, default=PED2)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parsed = parser.parse_args()
    if not parsed.dataset.is_dir():
        print(f"skipped: {parsed.dataset} is absent; name the folder of Ped2 with --dataset.")
        return 0
    clips = sorted(str(clip) for clip in (parsed.dataset / "train").iterdir())
    (ROOT / "work-out").mkdir(exist_ok=True)
    for seed in parsed.seeds:
        trained = ROOT / "work-out" / f"ped2-seed{seed}.safetensors"
        command = ["prednet-export", "train", "--footage", *clips, "--out", str(trained), "--seed", str(seed)]
        subprocess.run([*command, "--minutes", str(parsed.minutes), *OPTIONS], check=True)
        keep(trained, WEIGHTS / trained.name)
    return 0


def keep(trained: Path, kept: Path) -> None:
    """Write the float16 copy of a checkpoint."""
    kept.parent.mkdir(exist_ok=True)
    save_checkpoint(kept, *load_checkpoint(trained), is_half=True)


if __name__ == "__main__":
    sys.exit(main())
