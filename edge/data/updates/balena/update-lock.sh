#!/bin/sh
# Holds balena's update lock while a bundle is on trial: one service that holds it holds back the release's others too.
# BALENA_LOCK: the lock, made only where it is not there, as the supervisor asks. It bears our name, and only our own is
# removed: also one that a killed container has left.
# PREDNET_EVERY: how many seconds between two looks.
set -u
lock="${BALENA_LOCK:-/tmp/balena/updates.lock}"
mark=prednet-edge
[ "$(cat "$lock" 2>/dev/null)" = "$mark" ] && held=yes || held=no
release() {
    [ "$held" = no ] || rm -f "$lock"
    held=no
}
trap release EXIT
trap 'exit 0' TERM INT
while :; do
    if "${PREDNET_EDGE:-prednet-edge}" bundle status --config "${PREDNET_CONFIG:-/etc/prednet-edge/config.yaml}" --json |
        grep -q '"trial":{'; then
        [ "$held" = yes ] || { (set -C; echo "$mark" > "$lock") 2>/dev/null && held=yes; }
    else
        release
    fi
    sleep "${PREDNET_EVERY:-30}" &
    wait $!
done
