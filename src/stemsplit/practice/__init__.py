"""Practice songs: composed by rule, played from a sound font, sung by a vocoder, mixed as records are."""
