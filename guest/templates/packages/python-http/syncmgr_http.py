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

import os
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from componentize_py_types import Err, Ok
from syncmgr_plugin import ErrorCode, cancelled, check_cancelled, failure
from wit_world.imports import outgoing_handler, poll, preopens, streams
from wit_world.imports import wasi_filesystem_types as filesystem
from wit_world.imports import wasi_http_types as wasi

__all__ = ["Response", "delete", "get", "post", "put", "request"]

# The size of reads and writes.
CHUNK = 64 << 10

# The maximum number of redirects of one request.
MAX_REDIRECTS = 10

# The maximum number of bytes of an answer that an error message quotes.
QUOTED_BYTES = 200

# Bytes, the path of a file, or an iterable of bytes.
Body = bytes | bytearray | memoryview | Path | Iterable[bytes]

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

# Receives the number of bytes of a body that are sent. To end the request, it raises an exception.
Sent = Callable[[int], None]


def get(url: str, headers: Headers = ()) -> "Response":
    """Sends a `GET` request; see `request`."""
    return request("GET", url, headers)


def put(
    url: str,
    body: Body,
    headers: Headers = (),
    length: int | None = None,
    sent: Sent = lambda _: None,
) -> "Response":
    """Sends a `PUT` request; see `request`."""
    return request("PUT", url, headers, body, length, sent)


def post(
    url: str,
    body: Body,
    headers: Headers = (),
    length: int | None = None,
    sent: Sent = lambda _: None,
) -> "Response":
    """Sends a `POST` request; see `request`."""
    return request("POST", url, headers, body, length, sent)


def delete(url: str, headers: Headers = ()) -> "Response":
    """Sends a `DELETE` request; see `request`."""
    return request("DELETE", url, headers)


def request(
    method: str,
    url: str,
    headers: Headers = (),
    body: Body | None = None,
    length: int | None = None,
    sent: Sent = lambda _: None,
) -> "Response":
    """Sends a request, and returns the response as soon as its head has arrived.

    The body is bytes, the path of a file, or an iterable of bytes with a length. `Content-Length`
    is set. If the body ends early or fails, the server receives an incomplete request.

    The size of a file does not matter: the host reads and sends it. All other bodies are copied to
    memory that componentize-py does not free before the end of the run, so write large ones to a
    file in the storage first.

    Follows at most 10 redirects of a `GET` or `HEAD` without a body, but none from `https` to
    `http`. Each one leads to a granted server, or fails. A status such as 404 is not an error: see
    `Response.check_status`.
    """
    headers = list(headers.items() if isinstance(headers, Mapping) else headers)
    if body is not None:
        length = _length(body, length)
        return _send(method, url, headers, body, length, sent)
    redirects = 0
    while True:
        response = _send(method, url, headers, None, 0, sent)
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
        """Ends the response. The rest of the body is not read."""
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


def _length(body: Body, length: int | None) -> int:
    """Returns the length of a body."""
    if length is not None:
        return length
    if isinstance(body, Path):
        return os.stat(body).st_size
    if isinstance(body, bytes | bytearray | memoryview):
        return memoryview(body).nbytes
    raise failure(ErrorCode.INVALID_ARGUMENT, "the body has no length")


def _send(
    method: str,
    url: str,
    headers: list[tuple[str, str]],
    body: Body | None,
    length: int,
    sent: Sent,
) -> Response:
    outgoing = _outgoing(method, url, headers, None if body is None else length)
    outgoing_body = None if body is None else outgoing.body()
    try:
        # Started before the body is written: the host buffers little of it.
        future = outgoing_handler.handle(outgoing, None)
    except Err as error:
        raise _failure(url, error.value) from None
    with future:
        # The reason for a closed stream is in the response.
        if outgoing_body is not None and _write(outgoing_body, body, length, sent):
            try:
                wasi.OutgoingBody.finish(outgoing_body, None)
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


def _write(outgoing: wasi.OutgoingBody, body: Body, length: int, sent: Sent) -> bool:
    """Writes a body. Returns `False` if the host does not take all of it."""
    with outgoing.write() as stream, stream.subscribe() as ready:
        if isinstance(body, Path):
            complete = _write_file(stream, ready, body, length, sent)
        else:
            complete = _write_chunks(stream, ready, body, length, sent)
        try:
            stream.flush()
        except Err:
            return False
    return complete


def _write_chunks(
    stream: streams.OutputStream,
    ready: poll.Pollable,
    body: Iterable[bytes],
    length: int,
    sent: Sent,
) -> bool:
    done = 0
    for chunk in [body] if isinstance(body, bytes | bytearray | memoryview) else body:
        rest = memoryview(chunk).cast("B")[: length - done]
        while rest:
            room = min(_room(stream, ready), len(rest), CHUNK)
            try:
                stream.write(bytes(rest[:room]))
            except Err:
                room = 0
            if room == 0:
                return False
            rest = rest[room:]
            done += room
            sent(done)
        if done == length:
            break
    return _complete(done, length)


def _write_file(
    stream: streams.OutputStream, ready: poll.Pollable, path: Path, length: int, sent: Sent
) -> bool:
    """Lets the host write a file: its bytes never are in the memory of the plugin."""
    done = 0
    with _open(path) as file, file.read_via_stream(0) as source, source.subscribe() as readable:
        while done < length:
            room = min(_room(stream, ready), length - done)
            if room == 0:
                return False
            try:
                moved = stream.splice(source, room)
            except Err as error:
                try:
                    stream.check_write()
                except Err:
                    return False
                if isinstance(error.value, streams.StreamError_Closed):
                    break  # the end of the file
                raise OSError(f"{path} cannot be read") from None
            if moved == 0:
                _wait(readable)
            done += moved
            sent(done)
    return _complete(done, length)


def _room(stream: streams.OutputStream, ready: poll.Pollable) -> int:
    """Waits until bytes can be written, and returns their number; 0: the stream is closed."""
    try:
        while (room := stream.check_write()) == 0:
            _wait(ready)
        return room
    except Err:
        return 0


def _complete(done: int, length: int) -> bool:
    if done < length:
        message = f"the body ended {length - done} bytes early"
        raise failure(ErrorCode.INPUT_OUTPUT, message)
    return True


def _open(path: Path) -> filesystem.Descriptor:
    """Opens a file below one of the granted directories."""
    with open(path, "rb"):
        pass  # fails with the reason
    path = PurePosixPath(path)
    for directory, name in preopens.get_directories():
        with directory:
            if path.is_relative_to(name):
                try:
                    return directory.open_at(
                        filesystem.PathFlags.SYMLINK_FOLLOW,
                        str(path.relative_to(name)),
                        filesystem.OpenFlags(0),
                        filesystem.DescriptorFlags.READ,
                    )
                except Err as error:
                    raise OSError(f"{path} cannot be opened: {error.value}") from None
    raise FileNotFoundError(f"{path} is not in a granted directory")


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
