"""One file over HTTP, bounded in time and size."""

import contextlib
import http.client
import time
import urllib.error
import urllib.request

_SILENCE = 5.0  # seconds without an answer
_SECONDS = 300.0  # for the whole file
_CHUNK = 1 << 20


def download(address: str, limit: int) -> bytes:
    """The bytes at an address.

    Raises:
        OSError: with one line, if there is no answer in time, a refusal, more than `limit` bytes,
            or a transfer that ends early.
    """
    try:
        with contextlib.closing(urllib.request.urlopen(address, timeout=_SILENCE)) as answer:
            return _body(answer, limit)
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(f"answer {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise OSError(str(error.reason)) from error
    except http.client.HTTPException as error:
        raise OSError(f"the transfer broke off: {error!r}") from error


def _body(answer: http.client.HTTPResponse, limit: int) -> bytes:
    chunks: list[bytes] = []
    size, end = 0, time.monotonic() + _SECONDS
    while chunk := answer.read(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise OSError(f"it sends more than {limit:,} bytes")
        if time.monotonic() > end:
            raise OSError(f"{size:,} bytes in {_SECONDS:.0f} s is too slow")
    announced = answer.headers.get("Content-Length")
    if announced is not None and announced.isdigit() and size < int(announced):
        raise OSError(f"the transfer ended after {size:,} of {announced} bytes")
    return b"".join(chunks)
