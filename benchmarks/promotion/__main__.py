"""``python -m benchmarks.promotion``."""

from benchmarks.promotion.scale import main

if __name__ == "__main__":
    main()
