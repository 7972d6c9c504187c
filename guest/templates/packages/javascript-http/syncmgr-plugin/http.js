// HTTP requests to the servers that the operator granted, for plugins of the world `plugin-http`.
//
// A plugin requests a server by name in `syncmgr.toml`, and reads the granted URL as the setting of
// that name. The host adds the credentials, if the operator gave some: the plugin never sees them.
//
//     const server = new Map(getEnvironment()).get('remote');
//     const response = http.get(`${server}list`, { headers: { Accept: 'text/plain' } });
//     const text = new TextDecoder().decode(response.checkStatus().read(1 << 20));
//
// Every call that waits throws `Cancelled` as soon as the user cancels the run or the item in
// progress. Failures are a `Failure` with one of these codes:
//
// - `access-denied` if the request is not granted;
// - `not-connected` if there is no connection;
// - `timeout` if the server does not answer;
// - `invalid-argument` if the URL, the method or a header is invalid;
// - `input-output` if the connection fails or the answer is invalid.
//
// The engine's own `fetch` is available, too. It waits without regard to cancellation, does not
// follow redirects, and has one error for every reason.

import { getDirectories } from 'wasi:filesystem/preopens@0.2.12';
import { filesystemErrorCode } from 'wasi:filesystem/types@0.2.12';
import { handle } from 'wasi:http/outgoing-handler@0.2.12';
import { Fields, OutgoingBody, OutgoingRequest, httpErrorCode } from 'wasi:http/types@0.2.12';
import { poll } from 'wasi:io/poll@0.2.12';
import { Failure, cancelled, checkCancelled } from './index.js';

/** @typedef {import('wasi:filesystem/types@0.2.12').Descriptor} Descriptor */
/** @typedef {import('wasi:filesystem/types@0.2.12').DescriptorFlags} DescriptorFlags */
/** @typedef {import('wasi:filesystem/types@0.2.12').OpenFlags} OpenFlags */
/** @typedef {import('wasi:http/types@0.2.12').ErrorCode} HttpError */
/** @typedef {import('wasi:http/types@0.2.12').IncomingBody} IncomingBody */
/** @typedef {import('wasi:http/types@0.2.12').IncomingResponse} IncomingResponse */
/** @typedef {import('wasi:io/poll@0.2.12').Pollable} Pollable */
/** @typedef {import('wasi:io/streams@0.2.12').InputStream} InputStream */
/** @typedef {import('wasi:io/streams@0.2.12').OutputStream} OutputStream */
/** @typedef {import('./index.js').ErrorCode} ErrorCode */

/** @typedef {Record<string, string> | Iterable<[string, string]>} Headers */
/** @typedef {string | Uint8Array | Iterable<Uint8Array>} Body */
/**
 * Receives the number of bytes that are done. To end the transfer, it throws a value.
 * @typedef {(done: bigint) => void} Progress
 */
/**
 * The headers of a request, and its body: bytes, chunks of bytes with their length, or a file of a
 * granted directory by its path, such as `/target/list.csv`.
 *
 * The size of a file does not matter: the host reads and sends it. The engine keeps a copy of all
 * other bodies in memory until the end of the run.
 * @typedef {{
 *   headers?: Headers,
 *   body?: Body,
 *   file?: string,
 *   length?: number | bigint,
 *   sent?: Progress,
 * }} Options
 */

// The engine has them; the types of the contract do not.
const { TextDecoder, TextEncoder } = /** @type {any} */ (globalThis);

/** The size of reads and writes. */
const CHUNK = 65536;

/** The maximum number of redirects of one request. */
const MAX_REDIRECTS = 10;

/** The maximum number of bytes of an answer that an error message quotes. */
const QUOTED_BYTES = 200;

const STATUS_CODES = new Map(
  /** @type {[number, ErrorCode][]} */ ([
    [401, 'access-denied'],
    [403, 'access-denied'],
    [404, 'not-found'],
    [410, 'not-found'],
    [408, 'timeout'],
    [504, 'timeout'],
    [409, 'already-exists'],
    [412, 'already-exists'],
    [423, 'busy'],
    [429, 'busy'],
    [503, 'busy'],
    [507, 'no-space'],
  ]),
);

/** The error codes of the contract for those of `wasi:http`. Others are `input-output`. */
const ERROR_CODES = new Map(
  /** @type {[HttpError['tag'], ErrorCode][]} */ ([
    ['HTTP-request-denied', 'access-denied'],
    ['destination-IP-prohibited', 'access-denied'],
    ['DNS-timeout', 'timeout'],
    ['connection-timeout', 'timeout'],
    ['connection-read-timeout', 'timeout'],
    ['connection-write-timeout', 'timeout'],
    ['HTTP-response-timeout', 'timeout'],
    ['DNS-error', 'not-connected'],
    ['destination-not-found', 'not-connected'],
    ['destination-unavailable', 'not-connected'],
    ['destination-IP-unroutable', 'not-connected'],
    ['connection-refused', 'not-connected'],
    ['TLS-protocol-error', 'not-connected'],
    ['TLS-certificate-error', 'not-connected'],
    ['TLS-alert-received', 'not-connected'],
    ['connection-limit-reached', 'busy'],
    ['HTTP-request-method-invalid', 'invalid-argument'],
    ['HTTP-request-URI-invalid', 'invalid-argument'],
    ['HTTP-request-URI-too-long', 'invalid-argument'],
    ['HTTP-request-header-section-size', 'invalid-argument'],
    ['HTTP-request-header-size', 'invalid-argument'],
    ['HTTP-request-length-required', 'invalid-argument'],
  ]),
);

/** The error codes of the contract for those of files. Others are `input-output`. */
const FILE_CODES = new Map(
  /** @type {[string, ErrorCode][]} */ ([
    ['access', 'access-denied'],
    ['not-permitted', 'access-denied'],
    ['read-only', 'access-denied'],
    ['no-entry', 'not-found'],
    ['exist', 'already-exists'],
    ['is-directory', 'already-exists'],
    ['insufficient-space', 'no-space'],
    ['quota', 'no-space'],
    ['file-too-large', 'no-space'],
  ]),
);

const METHODS = /** @type {const} */ ([
  'get', 'head', 'post', 'put', 'delete', 'connect', 'options', 'trace', 'patch',
]);

/**
 * Sends a `GET` request; see `request`.
 * @param {string} url @param {Options} [options]
 */
export function get(url, options) {
  return request('GET', url, options);
}

/**
 * Sends a `PUT` request; see `request`.
 * @param {string} url @param {Options} options
 */
export function put(url, options) {
  return request('PUT', url, options);
}

/**
 * Sends a `POST` request; see `request`.
 * @param {string} url @param {Options} options
 */
export function post(url, options) {
  return request('POST', url, options);
}

/**
 * Sends a request, and returns the response as soon as its head has arrived.
 *
 * `Content-Length` is set. If the body ends early or fails, the server receives an incomplete
 * request.
 *
 * Follows at most 10 redirects of a `GET` or `HEAD` without a body, but none from `https` to
 * `http`. Each one leads to a granted server, or fails. A status such as 404 is not an error: see
 * `Response.checkStatus`.
 * @param {string} method @param {string} url @param {Options} [options]
 */
export function request(method, url, { headers = {}, body, file, length, sent } = {}) {
  const fields = [...(Symbol.iterator in headers ? headers : Object.entries(headers))];
  if (file !== undefined) {
    return use(openFile(file, {}, { read: true }), (opened) => {
      const total = Number(length ?? attempt(() => opened.stat().size, fileFailure(file)));
      const read = () => opened.readViaStream(0n);
      return use(attempt(read, fileFailure(file)), (source) =>
        send(method, url, fields, total, (stream, ready) =>
          writeFile(stream, ready, source, file, total, sent),
        ),
      );
    });
  }
  if (body !== undefined) {
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
    const whole = bytes instanceof Uint8Array;
    const total = length ?? (whole ? bytes.length : undefined);
    if (total === undefined) throw new Failure('invalid-argument', 'the body has no length');
    const chunks = whole ? [bytes] : bytes;
    return send(method, url, fields, Number(total), (stream, ready) =>
      writeChunks(stream, ready, chunks, Number(total), sent),
    );
  }
  for (let redirects = 0; ; redirects += 1) {
    const response = send(method, url, fields);
    const follows = ['GET', 'HEAD'].includes(method);
    const isRedirect = follows && [301, 302, 303, 307, 308].includes(response.status);
    const location = isRedirect ? response.header('location') : undefined;
    if (location === undefined) return response;
    response.close();
    if (redirects === MAX_REDIRECTS) {
      throw new Failure('input-output', `${shown(url)} exceeded ${MAX_REDIRECTS} redirects`);
    }
    url = join(url, location);
  }
}

/**
 * A response. Iterating it returns the body in chunks. Closing it releases the connection; the end
 * of the body and every error close it.
 */
export class Response {
  /** @type {{ stream: InputStream, body: IncomingBody } | undefined} */
  #open;

  /** @param {string} url @param {IncomingResponse} response */
  constructor(url, response) {
    const fields = response.headers();
    this.url = url;
    this.status = response.status();
    /** @type {[string, string][]} */
    this.headers = [];
    for (const [name, value] of fields.entries()) {
      try {
        this.headers.push([name, new TextDecoder('utf-8', { fatal: true }).decode(value)]);
      } catch {
        // It is not text.
      }
    }
    const body = response.consume();
    this.#open = { stream: body.stream(), body };
    drop(fields);
    drop(response);
  }

  /** Ends the response. The rest of the body is not read. */
  close() {
    const open = this.#open;
    this.#open = undefined;
    if (open) {
      // WASI requires this order.
      drop(open.stream);
      drop(open.body);
    }
  }

  /**
   * Returns the first value of a header, if it is text.
   * @param {string} name
   */
  header(name) {
    const wanted = name.toLowerCase();
    return this.headers.find(([known]) => known.toLowerCase() === wanted)?.[1];
  }

  /** The length of the body, if the server states it. */
  get contentLength() {
    const value = this.header('content-length');
    return value !== undefined && /^[0-9]+$/.test(value) ? BigInt(value) : undefined;
  }

  /**
   * Returns the response if its status is 2xx, and otherwise throws a `Failure`, which quotes the
   * start of the body. Its code is `access-denied` for 401 and 403, `not-found` for 404 and 410,
   * `busy` for 423, 429 and 503, `no-space` for 507, `timeout` for 408 and 504, `already-exists`
   * for 409 and 412, and `failed` for any other.
   */
  checkStatus() {
    if (this.status >= 200 && this.status <= 299) return this;
    let quoted = '';
    try {
      const decoder = new TextDecoder();
      for (let left = QUOTED_BYTES, chunk; left > 0 && (chunk = this.#read(left)); ) {
        quoted += decoder.decode(chunk, { stream: true });
        left -= chunk.length;
      }
    } catch (error) {
      // The status is the error, whatever happens to the body.
      if (!(error instanceof Failure)) throw error;
    }
    this.close();
    const text = `${shown(this.url)} answered ${this.status}: ${quoted}`;
    throw new Failure(STATUS_CODES.get(this.status) ?? 'failed', text.replace(/[: ]+$/, ''));
  }

  /**
   * Returns the whole body. Fails with `out-of-memory` if it exceeds `limit` bytes.
   * @param {number} limit
   */
  read(limit) {
    const chunks = [];
    let length = 0;
    for (const chunk of this) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > limit) {
        const message = `the answer of ${shown(this.url)} exceeds ${limit} bytes`;
        throw new Failure('out-of-memory', message);
      }
    }
    const body = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      body.set(chunk, at);
      at += chunk.length;
    }
    return body;
  }

  /**
   * Writes the body to a file of a granted directory, which is created or replaced, and returns its
   * length. The host does this, so the size of the body does not matter.
   * @param {string} path @param {Progress} [received]
   */
  save(path, received = () => {}) {
    const flags = [{ create: true, truncate: true }, { write: true }];
    try {
      return use(openFile(path, flags[0], flags[1]), (file) => {
        const written = use(
          attempt(() => file.writeViaStream(0n), fileFailure(path)),
          (stream) => use(stream.subscribe(), (ready) => this.#copy(path, stream, ready, received)),
        );
        attempt(() => file.sync(), fileFailure(path));
        return written;
      });
    } finally {
      this.close();
    }
  }

  /**
   * @param {string} path @param {OutputStream} stream @param {Pollable} ready
   * @param {Progress} received
   */
  #copy(path, stream, ready, received) {
    let done = 0n;
    for (;;) {
      const room = attempt(() => stream.checkWrite(), streamFailure(path, this.url));
      if (room === 0n) {
        wait(ready);
        continue;
      }
      const source = this.#open?.stream;
      let moved = 0n;
      try {
        if (!source) break;
        moved = stream.splice(source, room);
      } catch (error) {
        if (payload(error).tag === 'closed') break; // the end
        checkCancelled();
        throw streamFailure(path, this.url)(payload(error));
      }
      if (moved === 0n) use(source.subscribe(), wait);
      done += moved;
      received(done);
    }
    // The last bytes are written once the stream takes more.
    const flush = () => {
      stream.flush();
      ready.block();
      stream.checkWrite();
    };
    attempt(flush, streamFailure(path, this.url));
    return done;
  }

  /** @returns {Generator<Uint8Array, void>} */
  *[Symbol.iterator]() {
    try {
      for (let chunk; (chunk = this.#read(CHUNK)); ) yield chunk;
    } finally {
      this.close();
    }
  }

  /**
   * Returns at least one byte; undefined: the end of the body.
   * @param {number} size @returns {Uint8Array | undefined}
   */
  #read(size) {
    while (this.#open) {
      const { stream } = this.#open;
      let chunk;
      try {
        chunk = stream.read(BigInt(size));
      } catch (error) {
        const { tag, val } = payload(error);
        if (tag !== 'last-operation-failed') return undefined; // the end
        checkCancelled();
        const code = httpErrorCode(val);
        drop(val);
        throw failure(this.url, code ?? { tag: 'HTTP-response-incomplete' });
      }
      if (chunk.length) return chunk;
      use(stream.subscribe(), wait);
    }
    return undefined;
  }
}

/**
 * @param {string} method @param {string} url @param {[string, string][]} headers
 * @param {number} [length] The length of the body, if there is one.
 * @param {(stream: OutputStream, ready: Pollable) => boolean} [write] Writes the body, and returns
 *   `false` if the host does not take all of it.
 */
function send(method, url, headers, length, write) {
  const request = outgoing(method, url, headers, length);
  const body = write && request.body();
  // Started before the body is written: the host buffers little of it.
  const future = attempt(() => handle(request, undefined), (error) => failure(url, error));
  return use(future, () => {
    // The reason for a closed stream is in the response.
    if (write && body) {
      let complete = false;
      try {
        complete = use(body.write(), (stream) =>
          use(
            stream.subscribe(),
            (ready) => write(stream, ready) && succeeds(() => stream.flush()),
          ),
        );
      } finally {
        if (!complete) drop(body);
      }
      const finish = () => OutgoingBody.finish(body, undefined);
      const failed = (/** @type {HttpError} */ error) => failure(url, error);
      if (complete && !use(future.subscribe(), (ready) => ready.ready())) {
        attempt(finish, failed);
      } else if (complete) {
        // The server has answered early.
        try {
          finish();
        } catch {
          // The reason is in the response.
        }
      }
    }
    use(future.subscribe(), (ready) => {
      while (!ready.ready()) wait(ready);
    });
    const answer = future.get();
    // The outer result is an error for a second `get` only.
    const result = answer?.tag === 'ok' ? answer.val : undefined;
    if (result?.tag === 'ok') return new Response(url, result.val);
    checkCancelled();
    throw failure(url, result?.val ?? { tag: 'internal-error', val: undefined });
  });
}

/**
 * @param {string} method @param {string} url @param {[string, string][]} headers
 * @param {number | undefined} length
 */
function outgoing(method, url, headers, length) {
  const { scheme, authority, path } = split(url);
  const fields = new Fields();
  const invalid = (/** @type {string} */ what, /** @type {string} */ value) => () =>
    new Failure('invalid-argument', `the ${what} \`${value}\` is invalid`);
  const encode = (/** @type {string} */ text) => new TextEncoder().encode(text);
  for (const [name, value] of headers) {
    attempt(() => fields.append(name, encode(value)), invalid('header', name));
  }
  if (length !== undefined) {
    const set = () => fields.set('content-length', [encode(`${length}`)]);
    attempt(set, invalid('header', 'content-length'));
  }
  const request = new OutgoingRequest(fields);
  const known = METHODS.find((name) => name.toUpperCase() === method);
  const tag = known ? { tag: known } : { tag: /** @type {'other'} */ ('other'), val: method };
  attempt(() => request.setMethod(tag), invalid('method', method));
  attempt(() => {
    request.setScheme(scheme);
    request.setAuthority(authority);
    request.setPathWithQuery(path);
  }, invalid('URL', shown(url)));
  return request;
}

/**
 * @param {OutputStream} stream @param {Pollable} ready @param {Iterable<Uint8Array>} chunks
 * @param {number} length @param {Progress} [sent]
 */
function writeChunks(stream, ready, chunks, length, sent = () => {}) {
  let done = 0;
  if (length > 0) {
    for (const chunk of chunks) {
      const bytes = chunk.subarray(0, length - done);
      for (let at = 0; at < bytes.length; ) {
        const end = Math.min(at + room(stream, ready), at + CHUNK, bytes.length);
        if (end === at || !succeeds(() => stream.write(bytes.subarray(at, end)))) return false;
        done += end - at;
        at = end;
        sent(BigInt(done));
      }
      if (done === length) break;
    }
  }
  return isComplete(done, length);
}

/**
 * Lets the host write a file: its bytes never are in the memory of the plugin.
 * @param {OutputStream} stream @param {Pollable} ready @param {InputStream} source
 * @param {string} path @param {number} length @param {Progress} [sent]
 */
function writeFile(stream, ready, source, path, length, sent = () => {}) {
  let done = 0;
  while (done < length) {
    const most = Math.min(room(stream, ready), length - done);
    if (most === 0) return false;
    let moved = 0;
    try {
      moved = Number(stream.splice(source, BigInt(most)));
    } catch (error) {
      const reason = payload(error);
      if (!succeeds(() => stream.checkWrite())) return false;
      if (reason.tag === 'closed') break; // the end of the file
      throw streamFailure(path, path)(reason);
    }
    if (moved === 0) use(source.subscribe(), wait);
    done += moved;
    sent(BigInt(done));
  }
  return isComplete(done, length);
}

/**
 * Waits until bytes can be written, and returns their number; 0: the stream is closed.
 * @param {OutputStream} stream @param {Pollable} ready
 */
function room(stream, ready) {
  for (;;) {
    let bytes = 0n;
    if (!succeeds(() => (bytes = stream.checkWrite()))) return 0;
    if (bytes > 0n) return Number(bytes);
    wait(ready);
  }
}

/** @param {number} done @param {number} length */
function isComplete(done, length) {
  if (done < length) {
    throw new Failure('input-output', `the body ended ${length - done} bytes early`);
  }
  return true;
}

/**
 * Opens a file of a granted directory.
 * @param {string} path @param {OpenFlags} openFlags @param {DescriptorFlags} flags
 */
function openFile(path, openFlags, flags) {
  /** @type {Descriptor[]} */
  const opened = [];
  for (const [directory, name] of getDirectories()) {
    use(directory, () => {
      if (opened.length || !path.startsWith(`${name}/`)) return;
      const open = () =>
        directory.openAt({ symlinkFollow: true }, path.slice(name.length + 1), openFlags, flags);
      opened.push(attempt(open, fileFailure(path)));
    });
  }
  if (!opened.length) throw new Failure('access-denied', `${path} is not in a granted directory`);
  return opened[0];
}

/**
 * Returns a function that creates the error of the contract for an error of a file.
 * @param {string} path
 */
function fileFailure(path) {
  return (/** @type {string} */ code) =>
    new Failure(FILE_CODES.get(code) ?? 'input-output', `${path}: ${code}`);
}

/**
 * Returns a function that creates the error of the contract for the error of a stream between a
 * file and a server.
 * @param {string} path @param {string} url
 */
function streamFailure(path, url) {
  return (/** @type {any} */ { tag, val }) => {
    if (tag === 'closed') return new Failure('input-output', `${path} cannot be written`);
    const [file, http] = [filesystemErrorCode(val), httpErrorCode(val)];
    drop(val);
    if (file !== undefined) return fileFailure(path)(file);
    return failure(url, http ?? { tag: 'HTTP-response-incomplete' });
  };
}

/**
 * Waits, and throws `Cancelled` once the user cancelled.
 * @param {Pollable} ready
 */
function wait(ready) {
  use(cancelled(), (cancellation) => poll([ready, cancellation]));
  checkCancelled();
}

/** Releases a resource, since the garbage collector would be too late. */
function drop(/** @type {object} */ resource) {
  /** @type {{ [Symbol.dispose]?(): void }} */ (resource)[Symbol.dispose]?.();
}

/**
 * Uses a resource and releases it.
 * @template {object} R @template T
 * @param {R} resource @param {(resource: R) => T} action @returns {T}
 */
function use(resource, action) {
  try {
    return action(resource);
  } finally {
    drop(resource);
  }
}

/**
 * Returns the error of an imported function.
 * @param {any} error
 */
function payload(error) {
  if (error?.payload === undefined && !('payload' in Object(error))) throw error;
  return error.payload;
}

/**
 * Calls an imported function, and replaces its error.
 * @template T @param {() => T} call @param {(error: any) => Failure} failed @returns {T}
 */
function attempt(call, failed) {
  try {
    return call();
  } catch (error) {
    throw failed(payload(error));
  }
}

/** Returns whether an imported function succeeds. */
function succeeds(/** @type {() => void} */ call) {
  try {
    call();
    return true;
  } catch (error) {
    payload(error);
    return false;
  }
}

/** Returns a URL for a message: without its query, which may be secret. */
function shown(/** @type {string} */ url) {
  return url.split(/[?#]/, 1)[0];
}

/**
 * Splits a URL into its scheme, authority, and path with query.
 * @param {string} url
 */
function split(url) {
  const [, name, authority, path] = /^(.*?):\/\/([^/?#]*)([^#]*)/s.exec(url) ?? [];
  if (name === undefined) {
    const message = `\`${shown(url)}\` is not a URL that begins with \`https://\``;
    throw new Failure('invalid-argument', message);
  }
  /** @type {import('wasi:http/types@0.2.12').Scheme} */
  let scheme = { tag: 'other', val: name };
  if (name.toLowerCase() === 'https') scheme = { tag: 'HTTPS' };
  if (name.toLowerCase() === 'http') scheme = { tag: 'HTTP' };
  return { name, scheme, authority, path };
}

/**
 * Returns the target of a redirect.
 * @param {string} from @param {string} location
 */
function join(from, location) {
  const { name, scheme, authority, path } = split(from);
  const folder = path.split('?', 1)[0].replace(/[^/]*$/, '') || '/';
  let to = `${name}://${authority}${folder}${location}`;
  if (location.includes('://')) to = location;
  else if (location.startsWith('//')) to = `${name}:${location}`;
  else if (location.startsWith('/')) to = `${name}://${authority}${location}`;
  if (scheme.tag === 'HTTPS' && split(to).scheme.tag !== 'HTTPS') {
    const message = `${shown(from)} redirects to ${shown(to)}, which is not encrypted`;
    throw new Failure('access-denied', message);
  }
  return to;
}

/**
 * Creates the error of the contract for one of `wasi:http`.
 * @param {string} url @param {HttpError} error
 */
function failure(url, error) {
  const value = 'val' in error ? error.val : undefined;
  const details = value === undefined ? '' : ` (${describe(value)})`;
  const code = ERROR_CODES.get(error.tag) ?? 'input-output';
  return new Failure(code, `${shown(url)}: ${error.tag}${details}`);
}

/** @param {any} value */
function describe(value) {
  if (typeof value !== 'object') return `${value}`;
  return Object.values(value).filter((one) => one !== undefined).join(', ');
}
