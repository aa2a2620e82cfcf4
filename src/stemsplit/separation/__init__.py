"""From a mixture to sources to stem files."""
