"""`python -m taskwheel.cli`."""

from taskwheel.cli import main

main()
