"""``python -m ftlib`` is the same as ``ftlib``."""

from ftlib.cli import main

raise SystemExit(main())
