"""What this project is measured against, each run as `python -m benchmarks.NAME` from the root."""
