import { parentPort, workerData } from 'node:worker_threads';
import ignore from 'ignore';

/** Matches paths for `ignored-paths.ts`: answers with one byte per path. */
const { patterns, paths } = workerData as { patterns: string[]; paths: string[] };
const rules = ignore().add(patterns);
parentPort?.postMessage(Uint8Array.from(paths, (path) => Number(rules.ignores(path))));
