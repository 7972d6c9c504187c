#!/usr/bin/env node
// Runs the program of the package for this system.

const { spawn } = require('node:child_process');

const { platform, arch } = process;
const suffix = platform === 'win32' ? '.exe' : '';
let program;
try {
  program = require.resolve(`syncmgr-${platform}-${arch}/bin/syncmgr${suffix}`);
} catch {
  console.error(`syncmgr: there is no package for ${platform}-${arch}; use cargo install`);
  process.exit(1);
}
const child = spawn(program, process.argv.slice(2), { stdio: 'inherit' });
// A terminal sends an interrupt to the program, too, which ends in its own time.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('error', (error) => {
  console.error(`syncmgr: cannot run ${program}: ${error.message}`);
  process.exit(1);
});
child.on('exit', (code, signal) => {
  if (signal) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }
  process.exitCode = code ?? 1;
});
