"""Stories: create, list, show, follow, delete."""
