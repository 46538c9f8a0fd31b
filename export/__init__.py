"""A trained PredNet becomes a bundle that a device can run; on the workstation."""
