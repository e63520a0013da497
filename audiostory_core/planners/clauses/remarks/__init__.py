"""What authors say of a planned story, read as edits of its plan; see reader.py."""
