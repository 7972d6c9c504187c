// ENTRY WIT WORLD OUTPUT, in the project's folder
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import process from 'node:process';

const [entry, wit, world, output] = process.argv.slice(-4);
// componentize-js says only that there is a mistake; this says where.
if (spawnSync(process.execPath, ['--check', entry], { stdio: 'inherit' }).status !== 0) {
  process.exit(1);
}
try {
  const { componentize } = await import('@bytecodealliance/componentize-js');
  const { component } = await componentize({
    sourcePath: entry,
    witPath: resolve(wit),
    worldName: world,
    // They would import what no host of the contract offers.
    disableFeatures: ['http', 'fetch-event'],
  });
  await writeFile(output, component);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
