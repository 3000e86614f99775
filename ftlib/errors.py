"""Every error a user can meet: one sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

import errno


class FtlibError(Exception):
    """Something the user can mend. The command line prints its message and exits with 2."""


class ProfileError(FtlibError):
    """A profile, recipe, task or parameter that cannot be used as it is written."""


class DataError(FtlibError):
    """A data file that is missing, empty, damaged or does not hold what was asked of it."""


class MissingExtra(FtlibError):
    """A library that this step needs is not installed; the message names what to install."""


class RunLocked(FtlibError):
    """Another process holds the run folder."""


class BudgetExceeded(FtlibError):
    """A paid call would pass the cap; everything paid for so far is kept."""


class Refused(FtlibError):
    """A provider, hub or device will not serve this contestant; the others go on without it."""


class TrainingFailed(FtlibError):
    """A training that started and did not end well; the message carries the reason given."""


class Unclear(TrainingFailed):
    """Whether something that costs money was created cannot be known; nothing is created until a person has looked."""


class ServiceDown(TrainingFailed):
    """A service did not answer as it should; what was begun there is kept, and the same command takes it up again."""


class NotebookFailed(FtlibError):
    """A notebook that stopped before its end; the message carries the reason and where to read more."""


_REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EFBIG: "give a folder that takes files of this size",
    errno.EROFS: "give a folder that can be written to",
    errno.EACCES: "give a folder that you may write to",
    errno.EPERM: "give a folder that you may write to",
    errno.EIO: "bring the disk back (is it still mounted?)",
    errno.ENOTCONN: "bring the disk back (is it still mounted?)",
    errno.ESTALE: "bring the disk back (is it still mounted?)",
    errno.ENOENT: "see that the path is right, or bring the folder back (is the disk still mounted?),",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EISDIR: "give the name of a file, not of a folder,",
    errno.ENOTDIR: "give a folder where a file stands now,",
    errno.EEXIST: "give a folder where a file stands now,",
}


def disk_sentence(error: OSError) -> str | None:
    """One sentence for what a disk refused: full, read-only, gone; None for an OSError that is nothing of the kind."""
    remedy = _REMEDIES.get(error.errno or 0)
    if remedy is None:
        return None
    where = str(error.filename2 or error.filename or "the disk")
    return f"{where}: {error.strerror}; {remedy} and run the same command again, which goes on where it stopped."
