"""A real RTSP server for tests, run by the system's Python: moving picture, H.264 at 30 frames a second.

Usage: rtsp_server.py PORT [WIDTHxHEIGHT | FILM [USER PASSWORD]]. FILM is an .mp4 of H.264, sent as it is. Says `serving`, then `client` for each that connects;
SIGUSR1 changes the picture's size within the stream.
"""

import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

LAUNCH = (
    "( videotestsrc is-live=true pattern=ball ! videoscale ! capsfilter name=size caps=video/x-raw,{size},framerate=30/1 "
    "! x264enc tune=zerolatency key-int-max=15 ! rtph264pay name=pay0 config-interval=1 )"
)
FILM = "( filesrc location={film} ! qtdemux ! h264parse ! rtph264pay name=pay0 config-interval=1 )"


def size_caps(size: str) -> str:
    """Return the caps of a size such as 320x240."""
    width, height = size.split("x")
    return f"width={width},height={height}"


def locked(server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, user: str, password: str) -> None:
    """Let in who knows the password alone."""
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    role = "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
    factory.add_role_from_structure(Gst.Structure.new_from_string(role))


def main() -> None:
    """Serve rtsp://127.0.0.1:PORT/ball until killed."""
    Gst.init(None)
    port, size = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "320x240"
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=port)
    factory = GstRtspServer.RTSPMediaFactory(shared=True)
    is_film = size.endswith(".mp4")
    factory.set_launch(FILM.format(film=size) if is_film else LAUNCH.format(size=size_caps(size)))
    playing = []
    factory.connect("media-configure", lambda _, media: playing.append(media.get_element()))

    def resize() -> bool:
        for element in playing:
            caps = Gst.Caps.from_string(f"video/x-raw,{size_caps('480x270')},framerate=30/1")
            element.get_by_name_recurse_up("size").set_property("caps", caps)
        print("resized", flush=True)
        return True

    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR1, resize)
    if len(sys.argv) > 4:
        locked(server, factory, *sys.argv[3:5])
    server.connect("client-connected", lambda *_: print("client", flush=True))
    server.get_mount_points().add_factory("/ball", factory)
    server.attach(None)
    print("serving", flush=True)
    GLib.MainLoop().run()


main()
