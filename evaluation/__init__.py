"""Measures what decides on labelled data, which is not shipped: `python -m evaluation.<what>`."""
