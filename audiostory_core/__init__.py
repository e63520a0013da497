"""Planning, sound and stitching of a story; knows no database, no HTTP and no graph.

Axis letters, used in every docstring of this package: B batch, T text tokens, S semantic tokens,
R residual tokens, D width, L latent frames, Z latent channels, C audio channels, N samples.
"""
