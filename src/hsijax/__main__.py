"""Run the command line as `python -m hsijax`."""

from hsijax.cli import main

if __name__ == "__main__":
    main()
