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
const CHUNK = 1 << 20;

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
  removeFile(files, TEMPORARY); // left there by a run that was killed
  try {
    use(files.createFile(TEMPORARY), (writer) => {
      for (const chunk of reported(run, response, response.contentLength ?? 0n, name)) {
        writer.write(chunk);
      }
      writer.flush();
    });
    files.rename(TEMPORARY, files, name.split('/').at(-1), true);
  } finally {
    removeFile(files, TEMPORARY);
  }
}

/** Uploads a file in chunks, so that its size does not matter. */
function upload(run, files, server, name) {
  use(files.openFile(name), (reader) => {
    const length = reader.metadata().size;
    function* chunks() {
      for (let chunk; (chunk = reader.read(CHUNK)).length; ) yield chunk;
    }
    const body = reported(run, chunks(), length, name);
    http.put(server + name, { body, length }).checkStatus().close();
  });
}

/** Reports the progress of chunks. */
function* reported(run, chunks, total, name) {
  let [done, due] = [0n, 0n];
  for (const chunk of chunks) {
    yield chunk;
    done += BigInt(chunk.length);
    if (done >= due) {
      run.report(done, total, name);
      due = done + BigInt(CHUNK);
    }
  }
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
