"""Bellwether keeps a store's discovery models fresh."""

__version__ = "0.1.0"
