"""The synthetic factory cell, `test://factory`: frames with ground truth, drawn from a seed.

This module gives what needs numpy alone: scenes, their incidents and labels, and their addresses. What
draws needs OpenCV, what films needs PyAV, and each is imported where it is used:

    from edge.scene.drawing import draw            # one frame at any time
    from edge.scene.source import SceneSource      # a source of frames, as a camera is
    from edge.scene.footage import write_scene     # a film with its labels
"""

from edge.scene.address import scene_from_url
from edge.scene.incidents import (
    ACCIDENTS,
    CONDITIONS,
    Accident,
    Box,
    Condition,
    Incident,
    Kind,
    Scene,
    frame_labels,
    is_visible,
    visible_accidents,
)
from edge.scene.planting import accident_scene, normal_scene, plant, scene_duration

__all__ = [
    "ACCIDENTS",
    "CONDITIONS",
    "Accident",
    "Box",
    "Condition",
    "Incident",
    "Kind",
    "Scene",
    "accident_scene",
    "frame_labels",
    "is_visible",
    "normal_scene",
    "plant",
    "scene_duration",
    "scene_from_url",
    "visible_accidents",
]
