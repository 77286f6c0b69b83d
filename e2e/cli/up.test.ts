import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeView } from '@kiln/contract/api/control-api';
import { call } from '@kiln/testing/call';
import { startCli } from '@kiln/testing/cluster-programs';
import { containersOf, networksOf, removeLeftovers } from '@kiln/testing/engine';
import { removeRules } from '@kiln/testing/firewall';
import { freePorts } from '@kiln/testing/ports';
import type { Program } from '@kiln/testing/program';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { processesOf } from '../support/processes-of.js';
import { canConnect } from '../support/reachable.js';

const EXAMPLES = join(import.meta.dirname, '../..', 'examples');
const READY_MS = 180_000;
/** 20 s is the promise for a second start. */
const ALLOWED_AGAIN_MS = 40_000;

let home: string;
let http: number;
let control: number;
let kiln: Program | undefined;
/** The nodes that `kiln up` named; the same again at every start. */
let nodes: string[] = [];

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'kiln-up-'));
  [http, control] = (await freePorts(2)) as [number, number];
});

afterAll(async () => {
  if (kiln?.alive) await kiln.end(40_000);
  killAll(processes());
  await removeLeftovers(nodes);
  rmSync(home, { recursive: true, force: true });
});

const containers = async () => (await containersOf(nodes)).map(({ id }) => id);

/** All children of `kiln up`, Redis included. */
const processes = () => processesOf(home);

function killAll(pids: number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  }
}

/** Starts `kiln up` and gives how long it took to the ready line. */
async function up(...args: string[]): Promise<number> {
  const started = performance.now();
  const program = startCli(['up', '--nodes', '3', ...args], { KILN_HOME: home, KILN_HTTP_PORT: http, KILN_CONTROL_PORT: control });
  kiln = program;
  await until(
    'the ready line',
    () => {
      if (!program.alive) throw new Error(`kiln up ended:\n${program.stdout}\n${program.stderr}`);
      return /ready/i.test(program.stdout + program.stderr);
    },
    READY_MS,
  );
  const took = performance.now() - started;
  nodes = (await nodesOf()).map(({ id }) => id);
  return took;
}

async function nodesOf(): Promise<NodeView[]> {
  const { apiKey } = JSON.parse(readFileSync(join(home, 'credentials.json'), 'utf8')) as { apiKey: string };
  const answer = await call(control, '/v1/nodes', { headers: { authorization: `Bearer ${apiKey}` } });
  return answer.json<{ items: NodeView[] }>().items;
}

/** Made anew at each start of an agent. */
const epochs = async () => (await nodesOf()).filter(({ live }) => live).map(({ epoch }) => epoch);

const said = () => (kiln?.stdout ?? '') + (kiln?.stderr ?? '');

async function everyFunctionAnswers(): Promise<void> {
  for (const name of ['hello', 'counter', 'express', 'python']) {
    const answer = await call(http, `/fn/${name}/`);
    expect([name, answer.status], answer.text).toEqual([name, 200]);
  }
}

async function nothingIsLeft(): Promise<void> {
  expect(processes()).toEqual([]);
  expect(await containersOf(nodes)).toEqual([]);
  expect(await networksOf(nodes)).toEqual([]);
  expect(removeRules(nodes)).toEqual([]);
  expect(await canConnect('127.0.0.1', http)).toBe('ECONNREFUSED');
  expect(await canConnect('127.0.0.1', control)).toBe('ECONNREFUSED');
  const sockets = existsSync(home) ? readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isSocket()) : [];
  expect(sockets.map(({ name }) => name)).toEqual([]);
}

it('kiln up with the examples ends in a ready line that names addresses, the key file and a call to try', async () => {
  const took = await up('--deploy', EXAMPLES);
  console.info(`kiln up: ready with the examples deployed after ${(took / 1000).toFixed(1)} s`);
  await until('the whole of it is written', () => /curl/.test(said()), 5_000);
  expect(said()).toContain(`:${http}`);
  expect(said()).toContain(`:${control}`);
  expect(said()).toContain(join(home, 'credentials.json'));
  expect(statSync(join(home, 'credentials.json')).mode & 0o777).toBe(0o600);
  const { apiKey } = JSON.parse(readFileSync(join(home, 'credentials.json'), 'utf8')) as { apiKey: string };
  expect(said()).not.toContain(apiKey);
  await everyFunctionAnswers();

  const address = /curl (?:-\S+ )*['"]?http:\/\/[^/\s'"]+(\/[^\s'"]*)/.exec(said())?.[1];
  expect((await call(http, address as string)).status).toBe(200);
}, 240_000);

it('neither key nor secret is in any process’s arguments', () => {
  const cluster = JSON.parse(readFileSync(join(home, 'cluster.json'), 'utf8')) as Record<string, string>;
  const secrets = [...Object.values(cluster), readFileSync(join(home, 'master.key'), 'utf8').trim()];
  expect(secrets.length).toBeGreaterThan(3);
  for (const pid of processes()) {
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    for (const secret of secrets) expect(line).not.toContain(secret);
  }
});

it('Ctrl-C ends it with no container, process or socket left', async () => {
  const program = kiln as Program;
  program.kill('SIGINT');
  const started = performance.now();
  const exit = await program.exited;
  console.info(`kiln up: ended ${((performance.now() - started) / 1000).toFixed(1)} s after SIGINT with code ${exit.code}`);
  expect([0, 130], program.stderr).toContain(exit.code);
  await nothingIsLeft();
}, 60_000);

it('a second start is soon ready, and has all functions without deploying them', async () => {
  const took = await up();
  console.info(`kiln up: ready again after ${(took / 1000).toFixed(1)} s`);
  expect(took).toBeLessThan(ALLOWED_AGAIN_MS);
  await everyFunctionAnswers();
}, 120_000);

it('after kill -9 of everything the next start removes the orphans and has all functions', async () => {
  await call(http, '/fn/counter/');
  const orphans = await containers();
  expect(orphans.length).toBeGreaterThan(0);
  killAll(processes());
  await until('all of it is dead', () => processes().length === 0, 10_000);

  await up();
  await everyFunctionAnswers();
  await until('no orphan is left', async () => (await containers()).every((id) => !orphans.includes(id)), 20_000);
}, 120_000);

it('a child that dies is started again, which is said', async () => {
  const before = await epochs();
  const victim = processes().find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/agent/'));
  process.kill(victim as number, 'SIGKILL');
  await until('it is said', () => /agent .* ended \(SIGKILL\)/.test(said()), 20_000);
  await until(
    'three agents serve, one of them a new one',
    async () => {
      const now = await epochs();
      return now.length === 3 && now.some((epoch) => !before.includes(epoch));
    },
    20_000,
  );
}, 60_000);

it('kiln down ends it from another terminal, again with nothing left', async () => {
  if (kiln?.alive === false) return;
  const down = startCli(['down'], { KILN_HOME: home, KILN_HTTP_PORT: http, KILN_CONTROL_PORT: control });
  expect((await down.exited).code, down.stderr).toBe(0);
  await kiln?.exited;
  await nothingIsLeft();
}, 60_000);
