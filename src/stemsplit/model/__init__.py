"""The network and nothing else: no files, no audio formats, torch only."""
