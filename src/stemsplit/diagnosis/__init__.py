"""
What this machine has, and what of it stands in the way of separating songs: `stemsplit doctor`.

Nothing here prints, uses the network or imports torch: torch and torchaudio are asked in processes of their own.
"""
