"""What is heard in audio, told in words."""
