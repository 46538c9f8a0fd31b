#!/bin/sh
# Healthy (0) or not (1): what an updater asks before it commits, and otherwise rolls back.
# PREDNET_CONFIG: the configuration; PREDNET_WITHIN: how many seconds the daemon may take to see; PREDNET_EDGE: the program.
"${PREDNET_EDGE:-prednet-edge}" healthy \
    --config "${PREDNET_CONFIG:-/etc/prednet-edge/config.yaml}" \
    --within "${PREDNET_WITHIN:-120}" || exit 1
