import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { startCli } from '@kiln/testing/cluster-programs';
import { engine } from '@kiln/testing/engine';
import type { Program } from '@kiln/testing/program';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { example, fixture } from '../support/inside.js';

const NAME = `local-${randomBytes(4).toString('hex')}`;
let work: string;

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'kiln-build-e2e-'));
  mkdirSync(join(work, 'tmp'));
});
afterAll(async () => {
  for (const { RepoTags } of await engine.listImages({ filters: { reference: [`kiln/${NAME}`] } }))
    for (const tag of RepoTags ?? []) if (tag.startsWith(`kiln/${NAME}:`)) await engine.getImage(tag).remove();
  rmSync(work, { recursive: true, force: true });
});

/** Without any cluster: nothing answers at its address. */
function start(...args: string[]): Program {
  return startCli(['build', ...args], { KILN_HOME: join(work, 'home'), KILN_URL: 'http://127.0.0.1:9', TMPDIR: join(work, 'tmp') });
}

async function kiln(...args: string[]) {
  const program = start(...args);
  const { code } = await program.exited;
  return { code, stdout: program.stdout, stderr: program.stderr };
}

function folderOf(files: Record<string, string>): string {
  const folder = mkdtempSync(join(work, 'folder-'));
  for (const [path, content] of Object.entries(files)) writeFileSync(join(folder, path), content);
  return folder;
}

describe('kiln build', () => {
  it('makes the image that a deployment would make, and says what it is', async () => {
    const built = await kiln(example('hello'), '--name', NAME);
    expect(built.code, built.stderr).toBe(0);
    const { image, ...told } = JSON.parse(built.stdout) as { image: string };
    expect(told).toMatchObject({ function: NAME, kind: 'runner', config: { handler: 'hello', timeout: 10_000 } });
    expect((await engine.getImage(image).inspect()).RepoTags.join()).toContain(`kiln/${NAME}:`);
    expect(readdirSync(join(work, 'tmp'))).toEqual([]);
  });

  it('says what is wrong, with the last lines of the step', async () => {
    const failed = await kiln(
      folderOf({ Dockerfile: 'FROM debian:trixie-slim\nARG WHY\nRUN echo "because of $WHY"; exit 3\n' }),
      '--name',
      NAME,
      '--build-arg',
      'WHY=rain',
    );
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringMatching(/build failed at Step 3[\s\S]*because of rain/)]);
  });

  it('interrupted, ends the build and leaves nothing', async () => {
    const program = start(folderOf({ Dockerfile: `FROM debian:trixie-slim\nRUN sleep 1000 # ${NAME}\n` }), '--name', NAME);
    const running = async () => (await engine.listContainers({ all: true })).some(({ Command }) => Command.includes(NAME));
    await until('the step runs', running);
    program.kill('SIGINT');
    expect((await program.exited).code).toBe(130);
    expect([await running(), readdirSync(join(work, 'tmp'))]).toEqual([false, []]);
  });
});

describe('kiln build --eject', () => {
  it('writes the Dockerfile and what it leaves out, once', async () => {
    const folder = join(work, 'ejected');
    cpSync(fixture('go'), folder, { recursive: true });
    const done = await kiln(folder, '--eject', '--name', NAME);
    expect(done.code, done.stderr).toBe(0);
    const files = [join(folder, 'Dockerfile'), join(folder, '.dockerignore')];
    expect(JSON.parse(done.stdout)).toEqual({ function: NAME, written: files });
    expect(readFileSync(files[0] as string, 'utf8')).toMatch(/^FROM golang:1\.24-trixie AS prepared/);
    expect(readFileSync(files[1] as string, 'utf8')).toContain('**/.git\n');
    const again = await kiln(folder, '--eject', '--name', NAME);
    expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/its own Dockerfile/)]);
  });

  it('has nothing to give where only an agent can ask the function, and says how to go on', async () => {
    const refused = await kiln(folderOf({ 'handler.py': 'def handler(event): pass' }), '--eject', '--name', NAME);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/no Dockerfile to take over[\s\S]*uvicorn/)]);
  });

  describe('of a function that Kiln itself serves', () => {
    let cluster: Cluster;
    beforeAll(async () => {
      cluster = await startCluster();
    });
    afterAll(() => cluster?.stop());

    it.each([
      [
        'a function',
        {
          'index.js': 'exports.other = () => {};\nexports.hi = (req, res) => res.json({ at: req.url, as: process.getuid() });',
          'kiln.json': '{"handler":"hi"}',
        },
        '{"at":"/x?y=1","as":65532}',
      ],
      [
        'a TypeScript function',
        { 'index.ts': 'export default (req: object, res: { end(text: string): void }) => res.end("typed");' },
        'typed',
      ],
      ['a site', { 'index.html': '<h1>site</h1>', x: 'file' }, 'file'],
    ])('deploys as a Dockerfile of one’s own and answers: %s', async (_what, files, answer) => {
      const folder = folderOf(files as Record<string, string>);
      const done = await kiln(folder, '--eject', '--name', NAME);
      expect(done.code, done.stderr).toBe(0);
      const name = `ejected-${randomBytes(4).toString('hex')}`;
      await cluster.deploy(folder, { name });
      const versions = (await cluster.api('GET', `/v1/functions/${name}/versions`)).json<{ items: { kind: string }[] }>();
      expect(versions.items[0]?.kind).toBe('http');
      expect((await cluster.call(`/fn/${name}/x?y=1`)).text).toBe(answer);
      expect((await cluster.call(`/fn/${name}/Dockerfile`)).text).not.toContain('FROM');
    });
  });
});
