"""The AudioStory network as an engine."""
