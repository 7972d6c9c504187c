// Finds out which files to copy, and copies them.
//
// Folders are directories as `syncmgr:plugin/directories` has them. Only its types are imported
// here, so `tests/copier.test.js` can test it natively.

import type { Directory, Entry, EntryMetadata } from 'syncmgr:plugin/directories@0.1.0';
import type { Error as ContractError } from 'syncmgr:plugin/types@0.1.0';
import { Failure } from './syncmgr-plugin/failure.js';

/**
 * Takes the bytes done, the bytes in all (0: not known yet) and what is being worked on. To stop
 * everything, it throws something that has no `payload`.
 */
export type Report = (done: bigint, total: bigint, text: string) => void;
/** Takes note of a file or folder that could not be copied. */
export type Fail = (path: string, error: ContractError) => void;

/** A file of the source. */
interface Found extends EntryMetadata {
  folder: string;
  name: string;
  path: string;
}

export const CHUNK = 1n << 20n;

// A copy has this name until it is complete. One name is enough for a folder: files are copied
// one after the other.
export const TEMPORARY = '.syncmgr-copy';

/** Copies what is new or changed, and returns how many files that were. */
export function synchronize(
  source: Directory,
  target: Directory,
  report: Report,
  fail: Fail,
): number {
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

/** Lists the files that the target does not have, or has in another version. */
function plan(source: Directory, target: Directory, report: Report, fail: Fail): Found[] {
  const files: Found[] = [];
  const folders = [''];
  for (const folder of folders) {
    report(0n, 0n, folder);
    attempt(folder || '.', fail, () => {
      for (const { name, unicode, metadata } of list(source, folder)) {
        const path = folder ? `${folder}/${name}` : name;
        attempt(path, fail, () => {
          if (!unicode) throw new Failure('failed', 'its name is not Unicode');
          if (metadata.tag === 'err') throw new Failure(metadata.val.code, metadata.val.message);
          const file = { ...metadata.val, folder, name, path };
          // What is neither, such as a link, is not copied.
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

/** Whether there is a copy of this version of a file. */
function hasCopy(target: Directory, file: Found): boolean {
  const copy = find(target, file);
  if (!copy) return false;
  if (copy.kind !== 'file') throw new Failure('already-exists', 'something else is in its place');
  // Not every file system keeps nanoseconds: the steps of NTFS are 100, those of FAT 2 seconds.
  const steps = [1n, 100n, 1_000n, 1_000_000n, 1_000_000_000n, 2_000_000_000n];
  const apart = file.modified - copy.modified;
  const sameTime = steps.some(
    (step) => -step < apart && apart < step && copy.modified % step === 0n,
  );
  return copy.size === file.size && sameTime;
}

/** Copies a file. Under its name is the old version until the new one is complete. */
function copy(
  source: Directory,
  target: Directory,
  file: Found,
  report: (done: bigint) => void,
): void {
  report(0n);
  use(openFolder(source, file.folder), (from) =>
    use(openFolder(target, file.folder, true), (to) => {
      removeFile(to, TEMPORARY); // left there by a run that was killed
      try {
        use(from.openFile(file.name), (reader) =>
          use(to.createFile(TEMPORARY), (writer) => {
            let done = 0n;
            for (let more; (more = writer.copyFrom(reader, CHUNK)); ) report((done += more));
            const now = from.stat(file.name);
            if (now?.size !== file.size || now.modified !== file.modified) {
              throw new Failure('changed', 'it changed meanwhile; the next run will copy it');
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

/** Opens a folder by its path below another one. Links are not followed. */
function openFolder(root: Directory, path: string, create = false): Directory {
  let folder = root.reopen();
  for (const name of path.split('/').filter(Boolean)) {
    folder = use(folder, (outer) => {
      if (create && !outer.stat(name)) outer.createDirectory(name, undefined);
      return outer.openDirectory(name);
    });
  }
  return folder;
}

function list(root: Directory, path: string): Entry[] {
  return use(openFolder(root, path), (folder) =>
    use(folder.list(), (listing) => {
      const entries: Entry[] = [];
      for (let page; (page = listing.next()).length; ) entries.push(...page);
      return entries;
    }),
  );
}

/** What there is in the place of a file; undefined: nothing. */
function find(target: Directory, { folder, name }: Found): EntryMetadata | undefined {
  try {
    return use(openFolder(target, folder), (open) => open.stat(name));
  } catch (error) {
    if (payload(error)?.code !== 'not-found') throw error;
    return undefined;
  }
}

function removeFile(folder: Directory, name: string): void {
  if (folder.stat(name)) folder.removeFile(name);
}

/** Does something with a resource and closes it: the garbage collector would be too late. */
function use<R extends object, T>(resource: R, action: (resource: R) => T): T {
  try {
    return action(resource);
  } finally {
    (resource as { [Symbol.dispose]?(): void })[Symbol.dispose]?.();
  }
}

/** Does something, and goes on if it fails. */
function attempt(path: string, fail: Fail, action: () => void): void {
  try {
    action();
  } catch (error) {
    const failure = payload(error);
    if (!failure) throw error;
    fail(path, failure);
  }
}

/** What an error of the contract has; undefined: it is another one. */
function payload(error: unknown): ContractError | undefined {
  return (error as { payload?: ContractError }).payload;
}
