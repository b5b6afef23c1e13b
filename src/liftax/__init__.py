"""Lifted training and inversion of neural networks with proximal activations."""

import lazy_loader

# What there is stands in __init__.pyi; each part is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
