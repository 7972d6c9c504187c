// The part of `syncmgr:plugin/directories` that `copier.js` uses, implemented natively.

import * as fs from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../syncmgr-plugin/failure.js';

const CODES = {
  EEXIST: 'already-exists',
  EISDIR: 'already-exists',
  ENOENT: 'not-found',
  ENOTDIR: 'changed',
};

/** Makes a system call, and throws its errors as the contract defines them. */
function call(func, ...args) {
  try {
    return func(...args);
  } catch (error) {
    throw new Failure(CODES[error.code] ?? 'input-output', error.message);
  }
}

/** The number of resources that are not closed. */
export let open = 0;

class Resource {
  constructor() {
    open += 1;
  }

  [Symbol.dispose]() {
    open -= 1;
  }
}

// Node sets times with a precision of about one millisecond.
const MILLISECOND = 1_000_000n;

function metadataOf(stat) {
  const kinds = ['file', 'directory', 'symbolic-link'];
  const is = [stat.isFile(), stat.isDirectory(), stat.isSymbolicLink(), true];
  return {
    kind: kinds[is.indexOf(true)] ?? 'other',
    size: stat.size,
    modified: ((stat.mtimeNs + MILLISECOND / 2n) / MILLISECOND) * MILLISECOND,
    mode: Number(stat.mode & 0o7777n),
  };
}

export class Directory extends Resource {
  constructor(path) {
    super();
    this.path = path;
  }

  reopen() {
    return new Directory(this.path);
  }

  list() {
    return new Listing(this, call(fs.readdirSync, this.path));
  }

  stat(name) {
    const stat = call(fs.lstatSync, join(this.path, name), { bigint: true, throwIfNoEntry: false });
    return stat && metadataOf(stat);
  }

  openDirectory(name) {
    const kind = this.stat(name)?.kind;
    if (!kind) throw new Failure('not-found', `${name}: there is none`);
    if (kind !== 'directory') throw new Failure('changed', `${name}: it is no directory`);
    return new Directory(join(this.path, name));
  }

  createDirectory(name) {
    call(fs.mkdirSync, join(this.path, name));
  }

  openFile(name) {
    return new File(join(this.path, name), 'r');
  }

  createFile(name) {
    return new File(join(this.path, name), 'wx+');
  }

  removeFile(name) {
    call(fs.unlinkSync, join(this.path, name));
  }

  rename(name, to, toName, replace) {
    if (!replace) throw new Failure('not-implemented', 'only with `replace`');
    call(fs.renameSync, join(this.path, name), join(to.path, toName));
  }
}

class Listing extends Resource {
  constructor(directory, names) {
    super();
    this.entries = names.map((name) => {
      const metadata = { tag: 'ok', val: directory.stat(name) };
      return { name: { tag: 'text', val: name }, metadata };
    });
  }

  next() {
    return this.entries.splice(0, 2);
  }
}

class File extends Resource {
  constructor(path, flags) {
    const descriptor = call(fs.openSync, path, flags);
    super();
    this.descriptor = descriptor;
  }

  [Symbol.dispose]() {
    fs.closeSync(this.descriptor);
    super[Symbol.dispose]();
  }

  copyFrom(source, len) {
    const buffer = Buffer.alloc(Number(len));
    const read = call(fs.readSync, source.descriptor, buffer);
    return BigInt(call(fs.writeSync, this.descriptor, buffer, 0, read));
  }

  setModified(modified) {
    const seconds = Number(modified / MILLISECOND) / 1000;
    call(fs.futimesSync, this.descriptor, seconds, seconds);
  }

  setMode(mode) {
    call(fs.fchmodSync, this.descriptor, mode & 0o777);
  }

  flush() {
    call(fs.fsyncSync, this.descriptor);
  }
}
