"""The camera of glass.py: an RTSP server, run by the system's Python, whose picture turns dark and bright.

Usage: glass_server.py PORT FLASHES. Says `serving`, then, from the first client on, each change's monotonic second.
"""

import random
import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

LAUNCH = (
    "( videotestsrc name=scene is-live=true pattern=solid-color foreground-color=0xff303030 "
    "! video/x-raw,width=640,height=480,framerate=30/1 "
    "! x264enc tune=zerolatency key-int-max=30 ! rtph264pay name=pay0 config-interval=1 )"
)
DARK, BRIGHT = 0xFF303030, 0xFFC0C0C0
SETTLING_MS, LEAST_MS, MOST_MS = 4000, 900, 1500  # an odd rhythm, so that no change keeps step with frames


def main() -> None:
    """Serve rtsp://127.0.0.1:PORT/scene until killed."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=sys.argv[1])
    factory = GstRtspServer.RTSPMediaFactory(shared=True)
    factory.set_launch(LAUNCH)
    chance, left = random.Random(1), [int(sys.argv[2])]

    def change(scene: Gst.Element) -> bool:
        is_dark = scene.get_property("foreground-color") == DARK
        scene.set_property("foreground-color", BRIGHT if is_dark else DARK)
        print(time.monotonic(), flush=True)
        left[0] -= 1
        if left[0] > 0:
            GLib.timeout_add(chance.randint(LEAST_MS, MOST_MS), change, scene)
        return False

    def configured(_: object, media: GstRtspServer.RTSPMedia) -> None:
        scene = media.get_element().get_by_name_recurse_up("scene")
        GLib.timeout_add(SETTLING_MS, change, scene)

    factory.connect("media-configure", configured)
    server.get_mount_points().add_factory("/scene", factory)
    server.attach(None)
    print("serving", flush=True)
    GLib.MainLoop().run()


main()
