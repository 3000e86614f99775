"""Locks on files, which only POSIX systems have: one import that says so elsewhere."""

from ftlib.errors import FtlibError

try:
    import fcntl as fcntl
except ImportError:
    raise FtlibError(
        "The budget's ledger and the sandbox need POSIX file locks, which this system does not have; use Linux, macOS, Colab, or WSL on Windows."
    ) from None
