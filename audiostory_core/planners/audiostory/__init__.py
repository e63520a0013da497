"""The AudioStory network as a planner."""
