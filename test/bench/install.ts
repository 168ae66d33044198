import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { contenders, peers } from './contenders/index.js';

const folder = import.meta.dirname;

export const isInstalled = (peer: string): boolean =>
  existsSync(join(folder, 'node_modules', contenders[peer]?.peer ?? peer, 'package.json'));

/** Sees to it that the peers are there, if that can be done; says what it does. */
export function installPeers(): void {
  if (peers.every(isInstalled)) return;
  console.error('installing the peers that are compared: npm ci in test/bench');
  const { status, error } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (status === 0) return;
  console.error(`that failed (${error?.message ?? `exit code ${status}`}): going on without those that are missing`);
}
