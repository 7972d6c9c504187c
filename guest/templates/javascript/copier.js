// Determines which files to copy, and copies them.
//
// Folders are directories as `syncmgr:plugin/directories` has them. Nothing here imports that, so
// `tests/copier.test.js` can test it natively.

import { Failure } from './syncmgr-plugin/failure.js';

/** @typedef {import('syncmgr:plugin/directories@0.1.0').Directory} Directory */
/** @typedef {import('syncmgr:plugin/types@0.1.0').Error} ContractError */

/**
 * Receives the bytes done, the total (0: unknown) and the status text. To cancel the work, it
 * throws a value without a `payload`.
 * @typedef {(done: bigint, total: bigint, text: string) => void} Report
 */
/**
 * Receives a file or folder that could not be copied.
 * @typedef {(path: string, error: ContractError) => void} Fail
 */

export const CHUNK = 1n << 20n;

// A copy has this name until it is complete. One name per folder is enough, because files are
// copied one after the other.
export const TEMPORARY = '.syncmgr-copy';

/**
 * Copies new and changed files, and returns their number.
 * @param {Directory} source @param {Directory} target @param {Report} report @param {Fail} fail
 */
export function synchronize(source, target, report, fail) {
  const files = plan(source, target, report, fail);
  const total = files.reduce((sum, file) => sum + file.size, 0n);
  let done = 0n;
  let copied = 0;
  for (const file of files) {
    attempt(file.path, fail, () => {
      copy(source, target, file, (more) => report(done + more, total, file.path));
      copied += 1;
    });
    done += file.size;
  }
  return copied;
}

/**
 * Lists the files whose current version is missing in the target.
 * @param {Directory} source @param {Directory} target @param {Report} report @param {Fail} fail
 */
function plan(source, target, report, fail) {
  const files = [];
  const folders = [''];
  for (const folder of folders) {
    report(0n, 0n, folder);
    attempt(folder || '.', fail, () => {
      for (const { name: { tag, val: name }, metadata } of list(source, folder)) {
        const path = folder ? `${folder}/${name}` : name;
        attempt(path, fail, () => {
          if (tag !== 'text') throw new Failure('failed', 'its name is not Unicode');
          if (metadata.tag === 'err') throw new Failure(metadata.val.code, metadata.val.message);
          const file = { ...metadata.val, folder, name, path };
          // Other entries, such as links, are not copied.
          if (file.kind === 'directory') {
            folders.push(path);
          } else if (file.kind === 'file' && name !== TEMPORARY && !hasCopy(target, file)) {
            files.push(file);
          }
        });
      }
    });
  }
  return files;
}

/** Returns whether a copy of this version of a file exists. */
function hasCopy(target, file) {
  const copy = find(target, file);
  if (!copy) return false;
  if (copy.kind !== 'file') throw new Failure('already-exists', 'something else is in its place');
  // Some file systems store times less precisely: NTFS in steps of 100 ns, FAT of 2 seconds.
  const steps = [1n, 100n, 1_000n, 1_000_000n, 1_000_000_000n, 2_000_000_000n];
  const apart = file.modified - copy.modified;
  const sameTime = steps.some(
    (step) => -step < apart && apart < step && copy.modified % step === 0n,
  );
  return copy.size === file.size && sameTime;
}

/** Copies a file. Its name refers to the old version until the new one is complete. */
function copy(source, target, file, report) {
  report(0n);
  use(openFolder(source, file.folder), (from) =>
    use(openFolder(target, file.folder, { create: true }), (to) => {
      removeFile(to, TEMPORARY); // left there by a run that was killed
      try {
        use(from.openFile(file.name), (reader) =>
          use(to.createFile(TEMPORARY), (writer) => {
            let done = 0n;
            for (let more; (more = writer.copyFrom(reader, CHUNK)); ) report((done += more));
            const now = from.stat(file.name);
            if (now?.size !== file.size || now.modified !== file.modified) {
              throw new Failure('changed', 'it changed during the copy; the next run will copy it');
            }
            if (file.mode !== undefined) writer.setMode(file.mode);
            writer.setModified(file.modified);
            writer.flush();
          }),
        );
        to.rename(TEMPORARY, to, file.name, true);
      } finally {
        removeFile(to, TEMPORARY);
      }
    }),
  );
}

/**
 * Opens a folder by its path relative to another one. Does not follow links.
 * @param {Directory} root @param {string} path
 */
function openFolder(root, path, { create = false } = {}) {
  let folder = root.reopen();
  for (const name of path.split('/').filter(Boolean)) {
    folder = use(folder, (outer) => {
      if (create && !outer.stat(name)) outer.createDirectory(name, undefined);
      return outer.openDirectory(name);
    });
  }
  return folder;
}

/** @param {Directory} root @param {string} path */
function list(root, path) {
  return use(openFolder(root, path), (folder) =>
    use(folder.list(), (listing) => {
      const entries = [];
      for (let page; (page = listing.next()).length; ) entries.push(...page);
      return entries;
    }),
  );
}

/** Returns the entry at the path of a file; undefined: there is none. */
function find(target, { folder, name }) {
  try {
    return use(openFolder(target, folder), (open) => open.stat(name));
  } catch (error) {
    if (error.payload?.code !== 'not-found') throw error;
  }
}

/** @param {Directory} folder @param {string} name */
function removeFile(folder, name) {
  if (folder.stat(name)) folder.removeFile(name);
}

/** Uses a resource and closes it, since the garbage collector would be too late. */
export function use(resource, action) {
  try {
    return action(resource);
  } finally {
    resource[Symbol.dispose]();
  }
}

/** Calls a function and ignores its failure. */
function attempt(path, fail, action) {
  try {
    action();
  } catch (error) {
    if (!error.payload) throw error;
    fail(path, error.payload);
  }
}
