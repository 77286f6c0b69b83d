#!/usr/bin/env node
// The tests that depend on the kind of engine, beside another engine than the machine's. What can't be had is told; in CI it is a fault.
//
//   node scripts/engine-tests.mjs [--suite trixie|forky] [--storage containerd|classic]
//   node scripts/engine-tests.mjs --here     on the machine's own engine
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureBaseImages, FUNCTION_IMAGES } from './base-images.mjs';
import { runBesideSecondEngine, whyNoSecondEngine } from './second-engine.mjs';
import { announce, main, run, setUp } from './setup.mjs';
import { pnpmPath, toolEnvironment } from './tools.mjs';

const IMAGES = [...FUNCTION_IMAGES, 'debian:trixie-slim', 'registry:2'];
const TESTS = [pnpmPath(), 'exec', 'vitest', 'run', '--config', 'e2e/second-engine.config.ts'];

export async function runEngineTests(kind = {}) {
  const why = whyNoSecondEngine();
  if (why !== undefined && (process.env.CI ?? process.env.KILN_CI) !== undefined)
    throw new Error(`the tests beside a second Docker engine can't be run: ${why}`);
  if (why !== undefined) return announce(`the tests beside a second Docker engine are left out: ${why}`);
  Object.assign(process.env, toolEnvironment());
  const code = await runBesideSecondEngine({ ...kind, images: IMAGES, command: TESTS }, announce);
  if (code !== 0) throw new Error('tests beside the second Docker engine failed');
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const options = { suite: { type: 'string' }, storage: { type: 'string' }, here: { type: 'boolean' } };
  const { here, ...kind } = parseArgs({ options }).values;
  await main(async () => {
    await setUp();
    if (!here) return await runEngineTests(kind);
    await ensureBaseImages(IMAGES, announce);
    run(TESTS[0], TESTS.slice(1));
  });
}
