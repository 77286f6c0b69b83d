#!/usr/bin/env node
// `npx kiln` in a checkout: the command line of apps/cli on the right Node. Set-up happens here only when it never did.
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandFor } from './launcher.mjs';
import { nodePath, ROOT, toolEnvironment } from './tools.mjs';

const ENTRY = join(ROOT, 'apps/cli/dist/main.js');

export function kiln(args) {
  if (!existsSync(nodePath()) || !existsSync(ENTRY)) {
    process.stderr.write('kiln: this checkout is not set up yet; run: npm start\n');
    process.exit(1);
  }
  const child = spawn(nodePath(), [ENTRY, ...args], {
    stdio: 'inherit',
    env: { ...toolEnvironment(), KILN_COMMAND: process.env.KILN_COMMAND || commandFor() },
  });
  // A terminal sends Ctrl-C to the child too; one that comes twice within a moment counts once there.
  process.on('SIGINT', () => child.kill('SIGINT'));
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15)));
}

// npx reaches this file through a link.
if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) kiln(process.argv.slice(2));
