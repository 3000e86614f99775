"""Bytes of a file, whatever it is packed in: plain, gzip, zstandard, or a member of a zip archive.

What a file is, its first bytes say, not its name. Damage is a DataError, never a short file.
"""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from ftlib.errors import DataError, MissingExtra

GZIP, ZSTD, ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
OLE, EXCEL = b"\xd0\xcf\x11\xe0", (".xlsx", ".xlsm", ".xlsb")
PACKED = {".gz": GZIP, ".zst": ZSTD, ".zip": ZIP}
CHUNK = 1 << 20
DATA_SUFFIXES = (".jsonl", ".json", ".ndjson", ".csv", ".tsv", ".parquet")


@contextmanager
def open_bytes(path: Path, member: str | None = None) -> Iterator[tuple[IO[bytes], str]]:
    """Open a data file for reading; yields the unpacked stream and the name it has inside its packing.

    Layers are peeled one by one, so that a .gz inside a .zip works. ``member`` names the file inside a zip archive.
    Raises DataError for an empty, damaged or encrypted file.
    """
    with path.open("rb") as raw, translate_damage(path):
        stream: IO[bytes] = raw
        name = path.name
        while True:
            head = peek(stream)
            suffix = Path(name).suffix.lower()
            if head.startswith(OLE) or (suffix in EXCEL and head.startswith(ZIP)):
                raise DataError(f"{path} is an Excel workbook; save its sheet as CSV (UTF-8).")
            if not head:
                raise DataError(f"{path} is empty; get the file again.")
            if suffix in PACKED and not head.startswith(PACKED[suffix]) and not looks_like_html(head):
                raise DataError(f"{path} is named {suffix} but is no such file; get it again, or rename it.")
            if head.startswith(GZIP):
                stream, name = _gunzip(stream), name.removesuffix(".gz")
            elif head.startswith(ZSTD):
                stream, name = _unzstd(stream), name.removesuffix(".zst")
            elif head.startswith(ZIP):
                stream, name = _unzip(path, stream, member)
            else:
                yield stream, name
                return


@contextmanager
def translate_damage(path: Path) -> Iterator[None]:
    """Turn what decompressors raise into one sentence that names the file."""
    zstd_error: type[Exception] = OSError
    try:
        import zstandard

        zstd_error = zstandard.ZstdError
    except ImportError:
        pass
    try:
        yield
    except EOFError as error:
        raise DataError(f"{path} is cut off (its compressed data ends too early); get the file again.") from error
    except csv.Error as error:
        raise DataError(f"{path} is not CSV ({error} in its header); save it again with its fields quoted.") from error
    except (gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, zstd_error) as error:
        raise DataError(f"{path} is damaged ({error}); get the file again.") from error
    except Exception as error:
        if type(error).__name__ == "IsalError":
            raise DataError(f"{path} is damaged ({error}); get the file again.") from error
        raise


def peek(stream: IO[bytes]) -> bytes:
    """The first bytes of a stream, which stay unread."""
    start = stream.tell()
    head = stream.read(512)
    stream.seek(start)
    return head


def looks_like_html(head: bytes) -> bool:
    """Whether a file begins like a web page: a download that brought an error or a consent page."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def _gunzip(stream: IO[bytes]) -> IO[bytes]:
    """All members of a gzip stream, with isal (2 to 3 times as fast) where installed."""
    try:
        from isal import igzip
    except ImportError:
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    opened: Any = igzip.GzipFile
    return cast(IO[bytes], opened(fileobj=stream))


class _Zstd(io.RawIOBase):
    """All frames of a zstandard stream, which begins again where it is asked to seek to its start.

    zstandard's own reader takes a cut-off frame for the end of the file; this one does not.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        import zstandard

        self._source, self._start = stream, stream.tell()
        self._new_frame: Any = lambda: zstandard.ZstdDecompressor().decompressobj()
        self._begin()

    def _begin(self) -> None:
        self._frame: Any = None
        self._packed, self._unpacked, self._at, self._read = b"", b"", 0, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._at == len(self._unpacked):
            if not self._advance():
                return 0
        data = self._unpacked[self._at : self._at + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        self._read += len(data)
        return len(data)

    def _advance(self) -> bool:
        """Unpack a little more; false at the end of the last frame."""
        packed = self._packed or self._source.read(4096)  # little, since 4 KiB can unpack to 100 MiB
        self._packed = b""
        if not packed:
            if self._frame is not None:
                raise EOFError
            return False
        self._frame = self._frame or self._new_frame()
        self._unpacked, self._at = self._frame.decompress(packed), 0
        if self._frame.eof:
            self._packed, self._frame = self._frame.unused_data, None
        return True

    def tell(self) -> int:
        return self._read

    def seek(self, offset: int, whence: int = 0) -> int:
        if offset != 0 or whence != 0:
            raise io.UnsupportedOperation("a zstandard stream is read from its start")
        self._source.seek(self._start)
        self._begin()
        return 0


def _unzstd(stream: IO[bytes]) -> IO[bytes]:
    try:
        return cast(IO[bytes], io.BufferedReader(_Zstd(stream), 1 << 17))
    except ImportError:
        raise MissingExtra("A .zst file needs the library zstandard: pip install zstandard.") from None


def _unzip(path: Path, stream: IO[bytes], member: str | None) -> tuple[IO[bytes], str]:
    """The one data file of a zip archive, or the one named; of a train and test pair, the train file."""
    archive = zipfile.ZipFile(stream)
    names = [i.filename for i in archive.infolist() if not i.is_dir() and not Path(i.filename).name.startswith((".", "__MACOSX"))]
    data = [n for n in names if Path(n.removesuffix(".gz").removesuffix(".zst")).suffix.lower() in DATA_SUFFIXES]
    if member is not None:
        chosen = [n for n in names if n == member or Path(n).name == member]
    else:
        chosen = data if len(data) == 1 else [n for n in data if Path(n).name.lower().startswith(("trn.", "train."))]
    if len(chosen) != 1:
        listed = ", ".join(names[:10]) or "nothing"
        raise DataError(f"{path} holds {listed}; say which file to read as {path}!NAME.")
    if archive.getinfo(chosen[0]).flag_bits & 1:
        raise DataError(f"{path}: {chosen[0]} is encrypted; unpack it first.")
    try:
        return archive.open(chosen[0]), Path(chosen[0]).name
    except NotImplementedError as error:  # Deflate64, which Windows uses for files above 2 GB
        raise DataError(f"{path}: {chosen[0]} is packed in a way that Python cannot read ({error}); unpack it first.") from None
