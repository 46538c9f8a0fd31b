"""Stands in for pycuda, which does not build without CUDA's toolkit."""
