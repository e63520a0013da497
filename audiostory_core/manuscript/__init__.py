"""What authors bring, read into typed elements before anything is planned."""
