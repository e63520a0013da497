"""How clips are sampled unless a story says otherwise, as published; imports nothing."""

STEPS = 50  # of denoising
GUIDANCE = 4.0  # how strictly a clip keeps to its condition
