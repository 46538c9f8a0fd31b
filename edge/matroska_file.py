"""The smallest Matroska file, with one picture: it tells a library what encoded video to expect.

Elements and names of codecs as in RFC 9559 and in «Matroska Codec Specifications».
"""

from __future__ import annotations

from edge.tape import Encoding

# FFmpeg's names of what cameras send, and Matroska's.
CODECS = {
    "h264": "V_MPEG4/ISO/AVC",
    "hevc": "V_MPEGH/ISO/HEVC",
    "mjpeg": "V_MJPEG",
    "mpeg4": "V_MPEG4/ISO/ASP",
    "vp8": "V_VP8",
    "vp9": "V_VP9",
    "av1": "V_AV1",
    "ffv1": "V_FFV1",
}
_EBML, _DOC_TYPE, _DOC_TYPE_VERSION, _DOC_TYPE_READ_VERSION = "1A45DFA3", "4282", "4287", "4285"
_SEGMENT, _INFO, _TIMESTAMP_SCALE, _TRACKS, _TRACK = "18538067", "1549A966", "2AD7B1", "1654AE6B", "AE"
_NUMBER, _UID, _TYPE, _CODEC, _PRIVATE, _VIDEO, _WIDTH, _HEIGHT = "D7", "73C5", "83", "86", "63A2", "E0", "B0", "BA"
_CLUSTER, _TIMESTAMP, _BLOCK = "1F43B675", "E7", "A3"
_OF_TRACK_1_AT_0_KEY = b"\x81\0\0\x80"
_VIDEO_TYPE, _NANOSECONDS_A_TICK = 1, 1_000_000


def matroska_file(encoding: Encoding, picture: bytes) -> bytes:
    """Return a file with one video track and one key frame. Raises ValueError for a codec that has no name there."""
    if encoding.codec not in CODECS:
        raise ValueError(f"video of the codec {encoding.codec} is not copied; there are {', '.join(CODECS)}.")
    video = _number(_WIDTH, encoding.width) + _number(_HEIGHT, encoding.height)
    track = _number(_NUMBER, 1) + _number(_UID, 1) + _number(_TYPE, _VIDEO_TYPE)
    track += _element(_CODEC, CODECS[encoding.codec].encode()) + _element(_VIDEO, video)
    track += _element(_PRIVATE, encoding.extradata) if encoding.extradata else b""
    versions = _number(_DOC_TYPE_VERSION, 4) + _number(_DOC_TYPE_READ_VERSION, 2)
    info = _element(_INFO, _number(_TIMESTAMP_SCALE, _NANOSECONDS_A_TICK))
    cluster = _number(_TIMESTAMP, 0) + _element(_BLOCK, _OF_TRACK_1_AT_0_KEY + picture)
    segment = info + _element(_TRACKS, _element(_TRACK, track)) + _element(_CLUSTER, cluster)
    return _element(_EBML, _element(_DOC_TYPE, b"matroska") + versions) + _element(_SEGMENT, segment)


def _element(name: str, data: bytes) -> bytes:
    return bytes.fromhex(name) + (len(data) | 1 << 56).to_bytes(8, "big") + data


def _number(name: str, value: int) -> bytes:
    return _element(name, value.to_bytes(8, "big"))
