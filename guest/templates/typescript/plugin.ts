// {{name}}: copies new and changed files from one folder to another.
//
// `copier.ts` does the work. The package `syncmgr-plugin` is the layer between this plugin and the
// sync manager, and `wit/reference.md` documents every call.

import { openGrant } from 'syncmgr:plugin/directories@0.1.0';
import * as copier from './copier.js';
import { item, plugin } from './syncmgr-plugin/index.js';

// Never change the id of an item: the sync manager stores the user's choices under it.
const COPY = { high: 0x{{id-high}}n, low: 0x{{id-low}}n };

export const synchronize = plugin({
  name: '{{name}}',

  items: () => [item(COPY, 'Copy')],

  synchronizeItem(run) {
    const source = openGrant('source');
    const target = openGrant('target');
    const report: copier.Report = (done, total, text) => run.report(done, total, text);
    const fail: copier.Fail = (path, { code, message }) => run.fail(code, `${path}: ${message}`);
    // The lock keeps other runs out of the target.
    const copied = copier.use(target.lock(), () =>
      copier.synchronize(source, target, report, fail),
    );
    run.count('files-copied', BigInt(copied));
    return `${copied} copied, ${run.failures} failed`;
  },
});
