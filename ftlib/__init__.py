"""ftlib: which foundation model should I fine-tune on my rows, and what do I get for it?

Importing this package is light: no torch, no pandas, no network. Each room is imported where it is used.
"""

from ftlib.errors import FtlibError

__version__ = "0.1.0"
__all__ = ["FtlibError", "__version__"]
