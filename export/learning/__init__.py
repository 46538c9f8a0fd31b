"""PredNet in PyTorch and its training on the user's own footage; the one door of torch."""
