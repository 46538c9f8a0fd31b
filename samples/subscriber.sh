#!/bin/sh
# A subscriber to copy, with mosquitto_sub and jq alone: each event of a fleet once, holes in its numbers, states.
#
#   sh subscriber.sh BROKER [PORT]      what to do with each message stands at its end, tab, and the payload
#
# `keep` an event's message, `alarm` one that begins now, `missing` and `lost` numbers, `stands` and `is_now` states.
# The session (-i, -c, -x) is kept by the broker for a week: what comes while this is away is delivered afterwards.
# Add -u USER -P PASSWORD --cafile CA as your broker wants it.
while :; do
  mosquitto_sub -V 5 -h "${1:?the broker is missing: sh subscriber.sh BROKER [PORT]}" -p "${2:-1883}" \
    -i my-shell-subscriber -c -x 604800 -q 1 -F '%j' \
    -t 'prednet/v1/+/+/events' -t 'prednet/v1/+/+/status' -t 'prednet/v1/+/+/faults' \
    -t 'prednet/v1/+/+/cam/+/state' -t 'prednet/v1/+/+/cam/+/anomaly' -t 'prednet/v1/+/+/cam/+/condition'
  sleep 2 # the broker is away, or says no
done | jq --null-input --raw-output --unbuffered '
  def is_late:                                               # it waited: on the device, or in the broker while we were away
    .historical or (.time.clock == "synced" and now - (.time.published | sub("[.][0-9]+Z$"; "Z") | fromdateiso8601) > 60);
  def with_event($e):
    ([$e.site, $e.device, $e.boot_id] | join("/")) as $boot
    | (.last[$boot] // ($e.seq - 1)) as $last
    | .say = []
    | if $e.seq > $last + 1 then .say += ["missing\t\($boot) \($last + 1) to \($e.seq - 1)"] else . end
    | if $e.type == "gap" then
        .say += ["lost\t\($e.site)/\($e.device)/\($e.lost_boot_id // "?") "
          + "\($e.from_seq // "?") to \($e.to_seq // "?"): \($e.reason)"]
      else . end
    | .last[$boot] = ([$last, $e.seq] | max)
    | "\($e.event_id) \($e.rev)" as $key
    | if .seen[$key] or .older[$key] then .                  # a repetition
      else
        .seen[$key] = true
        | .say += ["keep\t\($e | tojson)"]                   # of an event the highest rev counts
        | if ($e.type == "new" or $e.type == "update") and ($e.kind == "surprise" or $e.kind == "stall")
            and ($e | is_late | not) and (.seen[$e.event_id] or .older[$e.event_id] | not) then
            .seen[$e.event_id] = true
            | .say += ["alarm\t\($e.site)/\($e.device) \($e.camera) \($e.kind) \($e.event_id)"]
          else . end
        | if (.seen | length) > 20000 then .older = .seen | .seen = {} else . end
      end;
  foreach inputs as $m ({last: {}, seen: {}, older: {}};
    if $m.topic | endswith("/events") then
      . as $before | try with_event($m.payload | fromjson) catch ($before | .say = ["unreadable\t\($m.topic)"])
    else
      .say = ["\(if $m.retain == 1 then "stands" else "is_now" end)\t\($m.topic) \($m.payload)"]
    end;
    .say[])'
