import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startCli } from '@kiln/testing/cluster-programs';
import { freePorts } from '@kiln/testing/ports';
import type { Program } from '@kiln/testing/program';
import { until } from '@kiln/testing/until';
import { afterEach, beforeEach, expect } from 'vitest';
import { processesOf } from '../support/processes-of.js';

export let home: string;
/** What is watched. */
export let root: string;
export let port: number;
let running: Program[];

/** For the tests of one file: each has an empty folder, and leaves no process. */
export function withDevFolder(): void {
  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'kiln-e2e-dev-'));
    root = join(home, 'functions');
    for (const folder of [root, join(home, 'tmp')]) mkdirSync(folder);
    [port] = (await freePorts(1)) as [number];
    running = [];
  });
  afterEach(async () => {
    for (const program of running) if (program.alive) await program.end(10_000);
    expect(processes()).toEqual([]);
    rmSync(home, { recursive: true, force: true });
  });
}

export function write(files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

export function start(args: string[] = ['--port', String(port)], folder = root): Program {
  const env = { KILN_HOME: join(home, 'kiln'), TMPDIR: join(home, 'tmp'), NOT_FOR_FUNCTIONS: 'secret' };
  const program = startCli(['dev', folder, ...args], env);
  running.push(program);
  return program;
}

export async function dev(args?: string[], folder?: string): Promise<Program> {
  const program = start(args, folder);
  await until('kiln dev is ready', () => {
    if (!program.alive) throw new Error(`kiln dev ended: ${program.stderr}`);
    return program.stdout.includes('"ready":true');
  });
  return program;
}

export const processes = () => processesOf(home);
