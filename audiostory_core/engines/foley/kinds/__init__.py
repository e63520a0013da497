"""The kinds of sound foley can make, a file per family."""
