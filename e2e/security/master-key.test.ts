import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Answer, call } from '@kiln/testing/call';
import { startCli } from '@kiln/testing/cluster-programs';
import { removeLeftovers } from '@kiln/testing/engine';
import { freePorts } from '@kiln/testing/ports';
import type { Program } from '@kiln/testing/program';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fixture } from '../support/inside.js';

const READY_MS = 120_000;
const VALUE = `value-${randomBytes(12).toString('hex')}`;

let home: string;
let env: Record<string, string | number>;
let control: number;
let http: number;
let kiln: Program | undefined;
let nodes: string[] = [];

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'kiln-key-'));
  [http, control] = (await freePorts(2)) as [number, number];
  env = { KILN_HOME: home, KILN_HTTP_PORT: http, KILN_CONTROL_PORT: control };
});
afterAll(async () => {
  if (kiln?.alive) await kiln.end(40_000);
  await removeLeftovers(nodes);
  rmSync(home, { recursive: true, force: true });
});

async function up(): Promise<void> {
  const program = startCli(['up'], env);
  kiln = program;
  await until(
    'the ready line',
    () => {
      if (!program.alive) throw new Error(`kiln up ended:\n${program.stdout}\n${program.stderr}`);
      return program.stdout.includes('"ready":true');
    },
    READY_MS,
  );
  nodes = (JSON.parse(program.stdout) as { nodes: string[] }).nodes;
}

const down = async () => expect((await kiln?.end(40_000))?.code).toBe(0);
const keyFile = (name = 'master.key') => join(home, name);

function api(method: string, path: string, body?: object): Promise<Answer> {
  const { apiKey } = JSON.parse(readFileSync(join(home, 'credentials.json'), 'utf8')) as { apiKey: string };
  const headers = { authorization: `Bearer ${apiKey}`, ...(body && { 'content-type': 'application/json' }) };
  return call(control, path, { method, headers, timeoutMs: 60_000, ...(body && { body: JSON.stringify(body) }) });
}

async function cli(...args: string[]): Promise<{ code: number | null; said: string }> {
  const program = startCli(args, env);
  const { code } = await program.exited;
  return { code, said: program.stdout + program.stderr };
}

const token = async () => (await call(http, '/fn/keeper/?code=return%20process.env.TOKEN')).text;

it('kiln up makes a master key that only its user can read, and functions get what is sealed with it', async () => {
  await up();
  expect(statSync(keyFile()).mode & 0o777).toBe(0o600);
  expect((await api('PUT', '/v1/secrets/TOKEN', { value: VALUE })).status).toBe(200);
  writeFileSync(join(home, 'index.js'), readFileSync(join(fixture('evaluate'), 'index.js')));
  writeFileSync(join(home, 'kiln.json'), JSON.stringify({ name: 'keeper', secrets: ['TOKEN'] }));
  writeFileSync(join(home, '.kilnignore'), '*\n!index.js\n!kiln.json\n');
  const deployed = await cli('deploy', home);
  expect([deployed.code, deployed.said]).toEqual([0, expect.stringContaining('"keeper"')]);
  expect(await token()).toBe(JSON.stringify(VALUE));
  await down();
}, 240_000);

it('without its key it makes no other in its place, and says what to put back', async () => {
  renameSync(keyFile(), keyFile('kept'));
  const refused = await cli('up');
  expect([refused.code, refused.said]).toEqual([1, expect.stringMatching(/master\.key is gone[\s\S]*put back a copy/)]);
  expect(existsSync(keyFile())).toBe(false);
}, 120_000);

it('with another key it does not start, says which file holds it and what to do, and leaves nothing running', async () => {
  writeFileSync(keyFile(), `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  const refused = await cli('up');
  expect(refused.code).toBe(1);
  expect(refused.said).toMatch(/master\.key holds the master key [0-9a-f]{12}, and this cluster's secrets are sealed with [0-9a-f]{12}/);
  expect(refused.said).toContain('give every router and agent the same key');
  for (const name of ['master.key', 'kept']) expect(refused.said).not.toContain(readFileSync(keyFile(name), 'utf8').trim());
  await expect(call(control, '/healthz')).rejects.toThrow();
}, 120_000);

it('with both keys it changes from one to the other, and then needs the new one only', async () => {
  renameSync(keyFile('kept'), keyFile('master.key.previous'));
  await up();
  await until('the function answers', async () => (await token()) === JSON.stringify(VALUE));
  const rotated = await cli('secrets', 'rotate');
  expect([rotated.code, rotated.said]).toEqual([0, expect.stringContaining('"resealed":1')]);
  await down();
  rmSync(keyFile('master.key.previous'));
  await up();
  await until('the function answers', async () => (await token()) === JSON.stringify(VALUE));
  await down();
}, 240_000);
