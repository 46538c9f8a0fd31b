"""Networks that other programs trained: read without running them, understood whole, or refused."""
