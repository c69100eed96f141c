"""``python -m mrqc`` is ``mrqc``."""

from mrqc.cli import main

if __name__ == "__main__":
    main()
