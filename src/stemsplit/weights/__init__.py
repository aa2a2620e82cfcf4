"""From a name to checked files to a network."""
