"""The network of AudioStory (arXiv:2508.20088), number for number as its authors released it.

From top to bottom: `synthesizer` puts `fusion`, `dit`, `flow` and `vae` together into condition to
waveform; `bridging` leads from the states of the language model to the tokens that are fused. Only
this package, its engine and its planner import torch. It knows no story, no file of the studio and
no database.
"""
