"""Training: songs whose stems are known -> random excerpts -> the network that separates -> a model to use."""
