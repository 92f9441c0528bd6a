"""Scripts that run on a verifier, each by itself: Python 3.9, and nothing beside it."""
