"""Words become mentions of sounds: the lexicon, and how texts are read with it."""
