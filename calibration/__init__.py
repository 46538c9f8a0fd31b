"""Footage of normal work becomes numbers: what is normal, and limits."""
