"""Fuzzing of everything that reads a file: `readers` says what, `run` does it with atheris."""
