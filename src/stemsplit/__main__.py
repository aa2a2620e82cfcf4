"""`python -m stemsplit`."""

from stemsplit.cli.app import main

if __name__ == "__main__":
    main()
