import { parentPort, workerData } from 'node:worker_threads';
import type { IgnoreTexts } from './ignored-paths.js';
import { IgnoreRules } from './left-out.js';

/** Matches paths for `ignored-paths.ts`: answers with one byte per path. */
const { texts, paths } = workerData as { texts: IgnoreTexts; paths: string[] };
const rules = new IgnoreRules(texts.dockerignore, texts.kilnignore);
parentPort?.postMessage(Uint8Array.from(paths, (path) => Number(rules.ignores(path))));
