import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { startCli } from '@kiln/testing/cluster-programs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { watchForLeaks } from '../support/leaks.js';
import { filesBelow, holds, imageHolds } from '../support/traces.js';

const VALUE = `value-${randomBytes(12).toString('hex')}`;
/** Plain, and therefore to be found: what looks for values can find some. */
const PLAIN = `plain-${randomBytes(12).toString('hex')}`;
const NAME = `summed-${randomBytes(4).toString('hex')}`;

let cluster: Cluster;
let work: string;
let said = '';

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2 });
  work = mkdtempSync(join(tmpdir(), 'kiln-build-secrets-'));
  mkdirSync(join(work, 'source'));
  writeFileSync(join(work, 'token'), VALUE);
});
afterAll(async () => {
  await cluster?.stop();
  rmSync(work, { recursive: true, force: true });
});

function dockerfileWith(step: string): void {
  const serve = `require('http').createServer((q, r) => r.end(require('fs').readFileSync('/sum'))).listen(8080)`;
  const lines = [
    'FROM node:24-trixie-slim',
    `ENV PLAIN=${PLAIN}`,
    `RUN ${step}`,
    'USER 65532',
    `CMD ${JSON.stringify(['node', '-e', serve])}`,
  ];
  writeFileSync(join(work, 'source', 'Dockerfile'), `${lines.join('\n')}\n`);
}

async function deploy(...options: string[]) {
  const env = { KILN_URL: `http://127.0.0.1:${cluster.router.ports.control}`, KILN_API_KEY: cluster.shared.adminKey };
  const program = startCli(['deploy', join(work, 'source'), '--name', NAME, '--verbose', ...options], env);
  const { code } = await program.exited;
  said += program.stdout + program.stderr;
  return { code, stderr: program.stderr };
}

describe('a secret for a build', () => {
  const READS = `--mount=type=secret,id=token,required=true cat /run/secrets/token; sha256sum < /run/secrets/token > /sum # ${NAME}`;
  let image = '';

  it('goes from a file to the step that asks for it; no process and no container shows it on the way', async () => {
    dockerfileWith(READS);
    const { result, looks, found } = await watchForLeaks([VALUE], deploy('--build-secret', `token=${join(work, 'token')}`));
    expect([result.code, found, looks > 3], result.stderr).toEqual([0, [], true]);
    expect((await cluster.call(`/fn/${NAME}/`)).text).toContain(createHash('sha256').update(VALUE).digest('hex'));
    const versions = await cluster.api('GET', `/v1/functions/${NAME}/versions`);
    image = versions.json<{ items: { image: string }[] }>().items[0]?.image ?? '';
  });

  it('is no reason to build again', async () => {
    const again = await deploy('--build-secret', `token=${join(work, 'token')}`);
    expect([again.code, again.stderr]).toEqual([0, expect.stringMatching(/nothing changed since v1/)]);
  });

  it('that is required and not given fails the build, which says how to give it', async () => {
    const refused = await deploy();
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/requires the secret "token"[\s\S]*--build-secret token=FILE/),
    ]);
  });

  it.each([
    ['a file that is not there', 'token=/no/such/file', /can't be read/],
    ['an id that is none', '../token=/etc/hostname', /must be letters/],
    ['more than a few kilobytes', `token=${process.execPath}`, /larger than 8192 bytes/],
  ])('from %s is refused before anything is sent', async (_what, option, message) => {
    const refused = await deploy('--build-secret', option);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(message)]);
  });

  it('is found in no image, no file of the home, nothing that Redis writes, no line that anybody said and no answer', async () => {
    expect(await imageHolds(image, [VALUE])).toMatchObject({ held: false });
    expect(await imageHolds(image, [PLAIN])).toMatchObject({ held: true });
    const redis = (...args: string[]) => execFileSync('redis-cli', ['-p', String(cluster.shared.redisPort), ...args], { encoding: 'utf8' });
    redis('CONFIG', 'SET', 'rdbcompression', 'no');
    expect(redis('SAVE')).toMatch(/OK/);
    const files = filesBelow(cluster.shared.home);
    expect(files.some((file) => holds(readFileSync(file), [NAME]))).toBe(true);
    expect(files.filter((file) => holds(readFileSync(file), [VALUE]))).toEqual([]);
    expect(said).toContain('***');
    for (const { program } of [...cluster.routers, ...cluster.agents]) said += program.stdout + program.stderr;
    expect(holds(said, [VALUE])).toBe(false);
    for (const path of ['', '/versions', '/instances', '/logs'])
      expect(holds((await cluster.api('GET', `/v1/functions/${NAME}${path}`)).text, [VALUE])).toBe(false);
  });
});
