"""What a person can do about each fault, in a sentence; `{camera}` is filled in."""

from __future__ import annotations

HINTS = {
    "camera_lost": "Check the camera's power, cable, address and password; it is tried again for ever.",
    "camera_refused": "The camera refuses the login; correct its username and password. It is asked seldom.",
    "capture_hung": "The capture library hung and was replaced; if it comes again, restart the camera.",
    "outbox_damaged": "Events that waited on disk may be lost; check the disk.",
    "broker_refused": "The broker refuses the login or the certificate; check both.",
    "duplicate_client_id": "Another device uses this MQTT client id; give each its own.",
    "config_invalid": "The configuration on disk cannot be used; the last good one goes on. See the log.",
    "engine_mismatch": "No TensorRT engine answers right, and keeps on; the CPU serves. Run prednet-edge doctor.",
    "inference_failed": "The step raised or hung and is restarted; if it comes again, see the log and run "
    "prednet-edge doctor.",
    "throttled": "Too hot or too slow for the frame rate: it watches at the rate of slow_normal, or drops frames where "
    "cameras have none. Cool it, give it fewer cameras, or run prednet-calibrate site --rate.",
    "memory_slope": "The daemon's memory grows for good; restart it when it suits, and report the file below "
    "diagnostics/ in the state directory.",
    "bundle_refused": "A bundle was refused, and the one before it goes on. Why: prednet-edge bundle status "
    "--config CONFIG",
    "calibration_missing": "The calibration of {camera} belongs to another bundle: it is watched with the bundle's own "
    "normality, events say calibrated: false. Run: prednet-calibrate site --config CONFIG --camera {camera}",
    "self_test_failed": "A known anomaly did not come through from camera to broker. Where it was lost: "
    "prednet-edge self-test --config CONFIG",
    "zones_changed": "The limit was fitted with other zones or masks: nothing is promised, events say "
    "calibrated: false. Run: prednet-calibrate site --config CONFIG --camera {camera}",
    "profile_unknown": "It is not known which profile is in force, so nothing is judged; health says why. "
    "Check the line's topic, who publishes it, the profiles' values and hours, and the clock.",
    "drift": "Work has left what {camera} was calibrated on. Look at scene, light and camera; where this is how it "
    "stays, calibrate anew: prednet-calibrate site --config CONFIG --camera {camera}",
    "evidence_stopped": "The disk has less room than evidence.free_megabytes: events go on without clips and pictures. "
    "Make room.",
    "page_unavailable": "The page cannot be served at page.bind and page.port: another program has the port, or this "
    "machine has no such address. It is tried again.",
    "upload_refused": "The store refuses evidence: check evidence.upload, the key and its rights, the certificate, the "
    "clock; the log says which. It waits on the disk and is tried every 5 minutes.",
    "upload_bucket_missing": "The store knows no bucket of the name in evidence.upload.bucket: make it, or correct the "
    "name. Evidence waits on the disk.",
    "upload_unreachable": "The evidence store has not answered for 5 minutes: check network and store. Evidence waits "
    "on the disk, where the oldest goes first when room is lacking.",
    "metrics_refused": "Prometheus cannot be answered: metrics.address and metrics.port are taken or not allowed. "
    "Choose another port.",
    "disk_low": "The disk of the state directory is nearly full; events go on, evidence does not. Make room.",
}
