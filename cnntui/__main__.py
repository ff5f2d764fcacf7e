"""`python -m cnntui` is `cnntui`."""

from cnntui.cli import main

if __name__ == "__main__":
    main()
