"""stemsplit: split a song into its stems with HT Demucs."""
