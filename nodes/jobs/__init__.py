"""What a worker does with the rows of work that it claims, one kind a file."""
