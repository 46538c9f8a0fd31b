#!/bin/sh
# From nothing to the first event, as a new user of the README: how long each step takes.
#
#     benchmarks/first_event.sh
#
# A new virtual environment, the wheel of this tree with its dependencies from the package index, `init` answered by three times
# Enter, `run`, and a subscriber. Needs mosquitto (with its clients) and the network.
set -eu
tree=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
# Whatever happens, nothing of it goes on or stays.
begun=
trap 'exit 1' TERM INT
trap 'kill $begun 2>/dev/null; wait; rm -r "$folder"' EXIT
began=$(date +%s)
told() { echo "$(($(date +%s) - began)) s: $*"; }
echo "commit $(git -C "$tree" rev-parse --short HEAD); $(uname -m), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
cd "$folder"
"${PYTHON:-python3}" -m venv prednet
prednet/bin/pip install --quiet --disable-pip-version-check "$tree"
told "installed, $(du -sm prednet | cut -f1) MB"
printf '\n\n127.0.0.1:18830\n' | prednet/bin/prednet-edge init --config "$folder/config.yaml" 2>init.told
told "init: $(grep -o ' of 3\. ' init.told | wc -l) questions; $(tail -1 init.told)"
mosquitto -p 18830 >broker.log 2>&1 &
begun=$!
until mosquitto_pub -p 18830 -t ready -m '' 2>/dev/null; do sleep 0.1; done
mosquitto_sub -p 18830 -t 'prednet/v1/+/+/events' -W 600 >events.json &
listener=$!
begun="$begun $!"
prednet/bin/prednet-edge run --config config.yaml >run.log 2>&1 &
begun="$begun $!"
until grep -q surprise events.json; do kill -0 $listener || exit 1; sleep 0.2; done
told "the first event: $(grep -m1 surprise events.json | head -c 160)"
