import { parentPort, workerData } from 'node:worker_threads';
import ignore from 'ignore';

/** Which of the paths the patterns leave out, as one byte each. See `ignored-paths.ts`. */
const { patterns, paths } = workerData as { patterns: string[]; paths: string[] };
const rules = ignore().add(patterns);
parentPort?.postMessage(Uint8Array.from(paths, (path) => Number(rules.ignores(path))));
