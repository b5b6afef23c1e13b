"""Images: linear operators of inverse problems, noise, quality, files, total variation."""
