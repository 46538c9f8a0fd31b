"""The forms of the step beside the float one, made by small passes over its graph: a door of `onnx`."""
