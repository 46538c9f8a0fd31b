"""Whether a device keeps what was promised: what it did is noted, judged over hours, and written on a signed page."""
