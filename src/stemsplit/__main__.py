"""`python -m stemsplit`."""

from stemsplit.cli.app import program

if __name__ == "__main__":
    program()
