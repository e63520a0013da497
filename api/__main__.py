"""`python -m api` is `audiostory`."""

from api.cli.main import main

main()
