"""The command line: ``liftax``."""

import argparse
import importlib.metadata
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``liftax``; returns the exit code (2 for bad input)."""
    parser = argparse.ArgumentParser(
        prog="liftax",
        description="Lifted training of neural networks whose activations are proximal maps.",
    )
    version = importlib.metadata.version("liftax")
    parser.add_argument("--version", action="version", version=f"liftax {version}")
    parser.parse_args(arguments)
    parser.print_help()
    return 0
