"""What support needs of a device, without what is secret in it."""
