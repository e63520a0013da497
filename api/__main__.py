"""`python -m api` is `audiostory`."""

from api.cli import main

main()
