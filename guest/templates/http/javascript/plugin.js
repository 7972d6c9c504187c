// {{name}}: downloads files from a server, and uploads files to it.
//
// `syncmgr-plugin/http.js` sends the requests. The package `syncmgr-plugin` is the layer between
// this plugin and the sync manager, and `wit/reference.md` documents every call.

import { openGrant } from 'syncmgr:plugin/directories@0.1.0';
import { getEnvironment } from 'wasi:cli/environment@0.2.12';
import * as http from './syncmgr-plugin/http.js';
import { Failure, item, plugin } from './syncmgr-plugin/index.js';

// Never change the id of an item: the sync manager stores the user's choices under it.
const TRANSFER = { high: 0x{{id-high}}n, low: 0x{{id-low}}n };

// The bytes between two reports.
const CHUNK = 1n << 20n;

// The granted directory `files`.
const FILES = '/files';

// A download has this name until it is complete.
const TEMPORARY = '.syncmgr-download';

export const synchronize = plugin({
  name: '{{name}}',

  items: () => [item(TRANSFER, 'Transfer')],

  synchronizeItem(run) {
    const settings = new Map(getEnvironment());
    const names = (key) => (settings.get(key) ?? '').split(' ').filter(Boolean);
    const [downloads, uploads] = [names('download'), names('upload')];
    // The granted URL is the setting with the name of the server.
    const server = settings.get('remote');
    if (server === undefined) {
      throw new Failure('access-denied', 'the server `remote` is not granted');
    }
    use(openGrant('files'), (files) =>
      // The lock keeps other runs out of the directory.
      use(files.lock(), () => {
        for (const name of downloads) download(run, files, server, name);
        for (const name of uploads) upload(run, files, server, name);
      }),
    );
    return `${downloads.length} downloaded, ${uploads.length} uploaded`;
  },
});

/** Downloads a file. Its name refers to the old version until the new one is complete. */
function download(run, files, server, name) {
  run.report(0n, 0n, name);
  const response = http.get(server + name).checkStatus();
  const received = reporter(run, response.contentLength ?? 0n, name);
  try {
    response.save(`${FILES}/${TEMPORARY}`, received);
    files.rename(TEMPORARY, files, name.slice(name.lastIndexOf('/') + 1), true);
  } finally {
    removeFile(files, TEMPORARY);
  }
}

/** Uploads a file. */
function upload(run, files, server, name) {
  const total = files.stat(name)?.size ?? 0n;
  const sent = reporter(run, total, name);
  http.put(server + name, { file: `${FILES}/${name}`, sent }).checkStatus().close();
}

/** Returns a function that reports the bytes done, at most once for each `CHUNK`. */
function reporter(run, total, name) {
  let due = 0n;
  return (done) => {
    if (done >= due) {
      run.report(done, total, name);
      due = done + CHUNK;
    }
  };
}

function removeFile(folder, name) {
  if (folder.stat(name)) folder.removeFile(name);
}

/** Uses a resource and closes it, since the garbage collector would be too late. */
function use(resource, action) {
  try {
    return action(resource);
  } finally {
    resource[Symbol.dispose]();
  }
}
