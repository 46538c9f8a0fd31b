#!/usr/bin/env bash
# Makes edge/data/demo.prednet anew: trained on nothing but normal work of the synthetic factory, in colour, with
# normality and limits from other days of it than the training saw. About forty minutes on two quiet cores, 7 GB.
#   benchmarks/demo_bundle.sh [MINUTES]
set -euo pipefail
cd "$(dirname "$0")/.."
out=work-out
mkdir -p "$out"
train=() normal=()
for seed in {101..110}; do train+=("test://factory?seed=$seed&seconds=120"); done
for seed in {201..230}; do normal+=("test://factory?seed=$seed&seconds=300"); done
prednet-export train --footage "${train[@]}" --out "$out/demo.safetensors" --minutes "${1:-13}" \
  --colour rgb --channels 3,12,24,48 --r-channels 4,12,24,48
prednet-export bundle "$out/demo.safetensors" --footage "${normal[@]}" --variants float --hold 0.5 --false-per-day 24 -o "$out/demo.prednet"
cp "$out/demo.prednet" edge/data/demo.prednet
prednet-export inspect edge/data/demo.prednet
