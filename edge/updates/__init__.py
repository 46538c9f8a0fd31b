"""Bundles on the device: kept, activated, tried, rolled back, and watched with beside the live one."""
