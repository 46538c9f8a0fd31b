"""TensorRT on the device: an engine is built from the bundle's step, proved, kept, and run."""
