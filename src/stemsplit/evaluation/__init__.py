"""How good a separation is: songs whose stems are known, and scores of what a model makes of them."""
