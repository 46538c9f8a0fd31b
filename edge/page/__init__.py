"""The page: what a browser sees of the device, and where subscribers fetch evidence."""
