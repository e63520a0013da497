"""Audio over HTTP: mixes, clips and takes as files."""
