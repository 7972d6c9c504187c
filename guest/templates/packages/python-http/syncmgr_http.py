"""HTTP requests to the servers that the operator granted, for plugins of the world `plugin-http`.

A plugin requests a server by name in `syncmgr.toml`, and reads the granted URL as the setting of
that name. The host adds the credentials, if the operator gave some: the plugin never sees them.

    import os
    import syncmgr_http as http

    with http.get(os.environ["remote"] + "list", headers={"Accept": "text/plain"}) as response:
        text = response.check_status().read(1 << 20).decode()

Every call that waits raises `Cancelled` as soon as the user cancels the run or the item in
progress. Failures are errors of the contract, `Err`:

- `ACCESS_DENIED` if the request is not granted;
- `NOT_CONNECTED` if there is no connection;
- `TIMEOUT` if the server does not answer;
- `INVALID_ARGUMENT` if the URL, the method or a header is invalid;
- `INPUT_OUTPUT` if the connection fails or the answer is invalid.
"""

import re
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

from componentize_py_types import Err, Ok
from syncmgr_plugin import ErrorCode, cancelled, check_cancelled, failure
from wit_world.imports import outgoing_handler, poll, streams
from wit_world.imports import wasi_http_types as wasi

__all__ = ["Response", "delete", "get", "post", "put", "request"]

# The size of reads and writes.
CHUNK = 64 << 10

# The maximum number of redirects of one request.
MAX_REDIRECTS = 10

# The maximum number of bytes of an answer that an error message quotes.
QUOTED_BYTES = 200

# Bytes, a file, or an iterable of bytes.
Body = bytes | bytearray | memoryview | BinaryIO | Iterable[bytes]

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


def get(url: str, headers: Headers = ()) -> "Response":
    """Sends a `GET` request; see `request`."""
    return request("GET", url, headers)


def put(url: str, body: Body, headers: Headers = (), length: int | None = None) -> "Response":
    """Sends a `PUT` request; see `request`."""
    return request("PUT", url, headers, body, length)


def post(url: str, body: Body, headers: Headers = (), length: int | None = None) -> "Response":
    """Sends a `POST` request; see `request`."""
    return request("POST", url, headers, body, length)


def delete(url: str, headers: Headers = ()) -> "Response":
    """Sends a `DELETE` request; see `request`."""
    return request("DELETE", url, headers)


def request(
    method: str,
    url: str,
    headers: Headers = (),
    body: Body | None = None,
    length: int | None = None,
) -> "Response":
    """Sends a request, and returns the response as soon as its head has arrived.

    The body is bytes, or a file or an iterable of bytes with a length. The latter two are streamed.
    `Content-Length` is set. If the body ends early or fails, the server receives an incomplete
    request.

    Follows at most 10 redirects of a `GET` or `HEAD` without a body, but none from `https` to
    `http`. Each one leads to a granted server, or fails. A status such as 404 is not an error: see
    `Response.check_status`.
    """
    headers = list(headers.items() if isinstance(headers, Mapping) else headers)
    if body is not None:
        chunks, length = _chunks(body, length)
        return _send(method, url, headers, chunks, length)
    redirects = 0
    while True:
        response = _send(method, url, headers, None, 0)
        location = None
        if method in ("GET", "HEAD") and response.status in (301, 302, 303, 307, 308):
            location = response.header("location")
        if location is None:
            return response
        response.close()
        redirects += 1
        if redirects > MAX_REDIRECTS:
            message = f"{_shown(url)} exceeded {MAX_REDIRECTS} redirects"
            raise failure(ErrorCode.INPUT_OUTPUT, message)
        url = _join(url, location)


class Response:
    """A response. Iterating it returns the body in chunks. Closing it releases the connection."""

    def __init__(
        self,
        url: str,
        status: int,
        headers: list[tuple[str, str]],
        stream: streams.InputStream,
        body: wasi.IncomingBody,
    ):
        self.url = url
        self.status = status
        self.headers = headers
        self._stream = stream
        # WASI requires that the stream is dropped before the body, also by the garbage collector.
        self._release = weakref.finalize(self, _drop, stream, body)

    def __enter__(self) -> "Response":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Ends the response. What is left of the body is not read."""
        self._release()

    def header(self, name: str) -> str | None:
        """Returns the first value of a header, if it is text."""
        name = name.lower()
        return next((value for known, value in self.headers if known.lower() == name), None)

    @property
    def content_length(self) -> int | None:
        """The length of the body, if the server states it."""
        value = self.header("content-length") or ""
        return int(value) if value.isascii() and value.isdigit() else None

    def check_status(self) -> "Response":
        """Returns the response if its status is 2xx, and otherwise raises an error, which quotes
        the start of the body.

        The code is `ACCESS_DENIED` for 401 and 403, `NOT_FOUND` for 404 and 410, `BUSY` for 423,
        429 and 503, `NO_SPACE` for 507, `TIMEOUT` for 408 and 504, `ALREADY_EXISTS` for 409 and
        412, and `FAILED` for any other.
        """
        match self.status:
            case status if 200 <= status <= 299:
                return self
            case 401 | 403:
                code = ErrorCode.ACCESS_DENIED
            case 404 | 410:
                code = ErrorCode.NOT_FOUND
            case 408 | 504:
                code = ErrorCode.TIMEOUT
            case 409 | 412:
                code = ErrorCode.ALREADY_EXISTS
            case 423 | 429 | 503:
                code = ErrorCode.BUSY
            case 507:
                code = ErrorCode.NO_SPACE
            case _:
                code = ErrorCode.FAILED
        quoted = b""
        try:
            while len(quoted) < QUOTED_BYTES and (chunk := self._read(QUOTED_BYTES - len(quoted))):
                quoted += chunk
        except Err:
            pass  # the status is the error, whatever happens to the body
        self.close()
        text = f"{_shown(self.url)} answered {self.status}: {quoted.decode(errors='replace')}"
        raise failure(code, text.rstrip(": "))

    def read(self, limit: int) -> bytes:
        """Returns the whole body. Fails with `OUT_OF_MEMORY` if it exceeds `limit` bytes."""
        body = bytearray()
        for chunk in self:
            body += chunk
            if len(body) > limit:
                message = f"the answer of {_shown(self.url)} exceeds {limit} bytes"
                raise failure(ErrorCode.OUT_OF_MEMORY, message)
        return bytes(body)

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._read(CHUNK):
            yield chunk

    def _read(self, size: int) -> bytes:
        """Returns at least one byte, or none at the end of the body."""
        while self._release.alive:
            try:
                if chunk := self._stream.read(size):
                    return chunk
            except Err as error:
                if not isinstance(error.value, streams.StreamError_LastOperationFailed):
                    break  # the end
                check_cancelled()
                with error.value.value as reason:
                    code = wasi.http_error_code(reason) or wasi.ErrorCode_HttpResponseIncomplete()
                raise _failure(self.url, code) from None
            with self._stream.subscribe() as ready:
                _wait(ready)
        return b""


def _drop(stream: streams.InputStream, body: wasi.IncomingBody) -> None:
    with body, stream:
        pass


def _chunks(body: Body, length: int | None) -> tuple[Iterable[bytes], int]:
    """Returns a body in chunks, with its length."""
    if isinstance(body, bytes | bytearray | memoryview):
        view = memoryview(body).cast("B")
        return [view], len(view)
    if length is None:
        raise failure(ErrorCode.INVALID_ARGUMENT, "the body has no length")
    read = getattr(body, "read", None)
    return (body if read is None else iter(lambda: read(CHUNK), b"")), length


def _send(
    method: str,
    url: str,
    headers: list[tuple[str, str]],
    chunks: Iterable[bytes] | None,
    length: int,
) -> Response:
    outgoing = _outgoing(method, url, headers, None if chunks is None else length)
    body = None if chunks is None else outgoing.body()
    try:
        # Started before the body is written: the host buffers little of it.
        future = outgoing_handler.handle(outgoing, None)
    except Err as error:
        raise _failure(url, error.value) from None
    with future:
        # The reason for a closed stream is in the response.
        if chunks is not None and _write(body, chunks, length):
            try:
                wasi.OutgoingBody.finish(body, None)
            except Err as error:
                with future.subscribe() as ready:
                    if not ready.ready():
                        raise _failure(url, error.value) from None
        with future.subscribe() as ready:
            while not ready.ready():
                _wait(ready)
        # The outer result is an error for a second `get` only.
        match future.get():
            case Ok(Ok(response)):
                return _response(url, response)
            case Ok(Err(code)):
                check_cancelled()
                raise _failure(url, code)
    raise _failure(url, wasi.ErrorCode_InternalError(None))


def _response(url: str, response: wasi.IncomingResponse) -> Response:
    with response:
        with response.headers() as fields:
            entries = fields.entries()
        headers = []
        for name, value in entries:
            try:
                headers.append((name, value.decode()))
            except UnicodeDecodeError:
                pass
        status = response.status()
        body = response.consume()
        return Response(url, status, headers, body.stream(), body)


def _outgoing(
    method: str, url: str, headers: list[tuple[str, str]], length: int | None
) -> wasi.OutgoingRequest:
    scheme, authority, path = _split(url)
    fields = wasi.Fields()
    for name, value in headers:
        _set("header", name, lambda: fields.append(name, value.encode()))
    if length is not None:
        value = [str(length).encode()]
        _set("header", "content-length", lambda: fields.set("content-length", value))
    outgoing = wasi.OutgoingRequest(fields)
    _set("method", method, lambda: outgoing.set_method(_method(method)))
    shown = _shown(url)
    _set("URL", shown, lambda: outgoing.set_scheme(_scheme(scheme)))
    _set("URL", shown, lambda: outgoing.set_authority(authority))
    _set("URL", shown, lambda: outgoing.set_path_with_query(path))
    return outgoing


def _set(what: str, value: str, call) -> None:
    try:
        call()
    except Err:
        message = f"the {what} `{value}` is invalid"
        raise failure(ErrorCode.INVALID_ARGUMENT, message) from None


def _write(body: wasi.OutgoingBody, chunks: Iterable[bytes], length: int) -> bool:
    """Writes a body. Returns `False` if the host does not take all of it."""
    with body.write() as stream, stream.subscribe() as ready:
        left = length
        for chunk in chunks if left else ():
            rest = memoryview(chunk)[:left]
            left -= len(rest)
            while rest:
                try:
                    room = stream.check_write()
                    if room:
                        stream.write(bytes(rest[: min(room, CHUNK)]))
                        rest = rest[min(room, CHUNK) :]
                        continue
                except Err:
                    return False
                _wait(ready)
            if not left:
                break
        if left:
            message = f"the body ended {left} bytes early"
            raise failure(ErrorCode.INPUT_OUTPUT, message)
        try:
            stream.flush()
        except Err:
            return False
    return True


def _wait(ready: poll.Pollable) -> None:
    """Waits, and raises `Cancelled` once the user cancelled."""
    with cancelled() as cancellation:
        poll.poll([ready, cancellation])
    check_cancelled()


def _method(name: str) -> wasi.Method:
    match name:
        case "GET":
            return wasi.Method_Get()
        case "HEAD":
            return wasi.Method_Head()
        case "POST":
            return wasi.Method_Post()
        case "PUT":
            return wasi.Method_Put()
        case "DELETE":
            return wasi.Method_Delete()
        case "CONNECT":
            return wasi.Method_Connect()
        case "OPTIONS":
            return wasi.Method_Options()
        case "TRACE":
            return wasi.Method_Trace()
        case "PATCH":
            return wasi.Method_Patch()
        case _:
            return wasi.Method_Other(name)


def _scheme(name: str) -> wasi.Scheme:
    match name.lower():
        case "https":
            return wasi.Scheme_Https()
        case "http":
            return wasi.Scheme_Http()
        case _:
            return wasi.Scheme_Other(name)


def _shown(url: str) -> str:
    """Returns a URL for a message: without its query, which may be secret."""
    return re.split("[?#]", url, maxsplit=1)[0]


def _split(url: str) -> tuple[str, str, str]:
    """Splits a URL into its scheme, authority, and path with query."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        message = f"`{_shown(url)}` is not a URL that begins with `https://`"
        raise failure(ErrorCode.INVALID_ARGUMENT, message)
    rest = rest.partition("#")[0]
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    return scheme, authority, rest[len(authority) :]


def _join(base: str, location: str) -> str:
    """Returns the target of a redirect."""
    scheme, authority, path = _split(base)
    if "://" in location:
        target = location
    elif location.startswith("//"):
        target = f"{scheme}:{location}"
    elif location.startswith("/"):
        target = f"{scheme}://{authority}{location}"
    else:
        folder = path.partition("?")[0].rpartition("/")[0]
        target = f"{scheme}://{authority}{folder}/{location}"
    if scheme.lower() == "https" and _split(target)[0].lower() != "https":
        message = f"{_shown(base)} redirects to {_shown(target)}, which is not encrypted"
        raise failure(ErrorCode.ACCESS_DENIED, message)
    return target


def _failure(url: str, error: wasi.ErrorCode) -> Err:
    """Creates the error of the contract for one of `wasi:http`."""
    match error:
        case wasi.ErrorCode_HttpRequestDenied() | wasi.ErrorCode_DestinationIpProhibited():
            code = ErrorCode.ACCESS_DENIED
        case (
            wasi.ErrorCode_DnsTimeout()
            | wasi.ErrorCode_ConnectionTimeout()
            | wasi.ErrorCode_ConnectionReadTimeout()
            | wasi.ErrorCode_ConnectionWriteTimeout()
            | wasi.ErrorCode_HttpResponseTimeout()
        ):
            code = ErrorCode.TIMEOUT
        case (
            wasi.ErrorCode_DnsError()
            | wasi.ErrorCode_DestinationNotFound()
            | wasi.ErrorCode_DestinationUnavailable()
            | wasi.ErrorCode_DestinationIpUnroutable()
            | wasi.ErrorCode_ConnectionRefused()
            | wasi.ErrorCode_TlsProtocolError()
            | wasi.ErrorCode_TlsCertificateError()
            | wasi.ErrorCode_TlsAlertReceived()
        ):
            code = ErrorCode.NOT_CONNECTED
        case wasi.ErrorCode_ConnectionLimitReached():
            code = ErrorCode.BUSY
        case (
            wasi.ErrorCode_HttpRequestMethodInvalid()
            | wasi.ErrorCode_HttpRequestUriInvalid()
            | wasi.ErrorCode_HttpRequestUriTooLong()
            | wasi.ErrorCode_HttpRequestHeaderSectionSize()
            | wasi.ErrorCode_HttpRequestHeaderSize()
            | wasi.ErrorCode_HttpRequestLengthRequired()
        ):
            code = ErrorCode.INVALID_ARGUMENT
        case _:
            code = ErrorCode.INPUT_OUTPUT
    # Such as `HttpRequestDenied`, and the details if there are any.
    name = type(error).__name__.removeprefix("ErrorCode_")
    details = getattr(error, "value", None)
    return failure(code, f"{_shown(url)}: {name}" + (f" ({details})" if details else ""))
