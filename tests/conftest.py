"""What holds for all tests."""

from hypothesis import settings

# These machines are shared and noisy: how long an example takes says nothing about the code.
settings.register_profile("stemsplit", deadline=None, max_examples=60)
settings.load_profile("stemsplit")
