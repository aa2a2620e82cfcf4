"""Files <-> blocks of float32 numpy [channels, frames]. Knows no network and no torch."""
