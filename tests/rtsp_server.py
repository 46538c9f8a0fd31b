"""A real RTSP server for tests, run by the system's Python: moving picture, H.264 at 30 frames a second."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

LAUNCH = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 "
    "! x264enc tune=zerolatency key-int-max=15 ! rtph264pay name=pay0 config-interval=1 )"
)


def main() -> None:
    """Serve rtsp://127.0.0.1:PORT/ball until killed."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=sys.argv[1])
    factory = GstRtspServer.RTSPMediaFactory(shared=True)
    factory.set_launch(LAUNCH)
    server.get_mount_points().add_factory("/ball", factory)
    server.attach(None)
    print("serving", flush=True)
    GLib.MainLoop().run()


main()
