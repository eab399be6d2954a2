"""``python -m davylamp`` is the command ``davylamp``."""

from davylamp.cli import main

raise SystemExit(main())
