import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { BuildLine } from '@kiln/contract/api/control-api';
import { BUILD_SECRETS } from '@kiln/contract/wire/headers';
import { call } from '@kiln/testing/call';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { engine } from '@kiln/testing/engine';
import { until } from '@kiln/testing/until';
import { type Header, pack } from 'tar-stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { example } from '../support/inside.js';

/** In every step, so that whatever is left of one is known by it. */
const MARK = `mark-${randomBytes(6).toString('hex')}`;
const NAME = `hostile-${randomBytes(4).toString('hex')}`;
const TIME_MS = 30_000;
const DISK_MB = 512;

let cluster: Cluster;
/** Made by nobody here, but on the same engine. */
let dangling: Set<string>;

beforeAll(async () => {
  cluster = await startCluster({
    env: { KILN_BUILD_TIMEOUT: TIME_MS, KILN_BUILD_DISK: DISK_MB, KILN_BUILD_MEMORY: 256, KILN_BUILD_CPUS: 0.5 },
  });
  await cluster.deploy(example('hello'), { name: 'hello' });
  dangling = new Set(await markedImages());
});
afterAll(() => cluster?.stop());
afterEach(nothingIsLeft);

type Entry = [Partial<Header> & { name: string }, (string | Buffer)?];

function tarOf(...entries: Entry[]): Readable {
  const archive = pack();
  for (const [header, content] of entries) archive.entry(header, content ?? '');
  archive.finalize();
  return archive.pipe(createGzip({ level: 1 }));
}

const dockerfile = (...steps: string[]) =>
  tarOf([{ name: 'Dockerfile' }, ['FROM debian:trixie-slim', ...steps, 'CMD ["true"]', ''].join('\n')]);

/** How the build of an archive ended: its last line, or the refusal in its place. */
async function outcome(tar: Readable, name = NAME, more = {}): Promise<{ code: string; detail: string }> {
  const { code, detail } = (await lastLine(tar, name, more)) as BuildLine & { code: string; detail: string };
  return { code, detail };
}

async function lastLine(tar: Readable, name = NAME, more: Record<string, string> = {}): Promise<BuildLine> {
  const { method, headers } = upload();
  const request = { method, headers: { ...headers, ...more }, body: tar, timeoutMs: 120_000 };
  const answer = await call(cluster.router.ports.control, `/v1/functions/${name}/builds`, request);
  return JSON.parse(answer.text.trim().split('\n').at(-1) as string) as BuildLine;
}

function upload() {
  return { method: 'POST', headers: { authorization: `Bearer ${cluster.shared.adminKey}`, 'content-type': 'application/gzip' } };
}

async function markedImages(): Promise<string[]> {
  const images = await engine.listImages({ all: true, filters: { dangling: ['true'] } });
  const marked = await Promise.all(
    images.map(async ({ Id }) => {
      // Others build on this engine too: one of theirs may be gone by now.
      const info = await engine
        .getImage(Id)
        .inspect()
        .catch(() => undefined);
      return JSON.stringify(info?.ContainerConfig ?? '').includes(MARK) ? Id : undefined;
    }),
  );
  return marked.filter((id) => id !== undefined);
}

function ownGroups(): string[] {
  const [node] = cluster.nodes;
  return ['', 'pids', 'memory', 'cpu'].flatMap((hierarchy) => {
    const folder = join('/sys/fs/cgroup', hierarchy);
    try {
      return readdirSync(folder).filter((name) => name.startsWith(`kiln-build-${node}-`));
    } catch {
      return [];
    }
  });
}

async function nothingIsLeft(): Promise<void> {
  await until('no container is left', async () => {
    const containers = await engine.listContainers({ all: true });
    return containers.every(({ Command, Labels }) => !Command.includes(MARK) && Labels['kiln.function'] !== NAME);
  });
  await until('no image is left', async () => (await markedImages()).every((id) => dangling.has(id)));
  await until('no temporary folder is left', () => readdirSync(join(cluster.shared.home, 'builds')).length === 0);
  await until('no control group is left', () => ownGroups().length === 0);
  expect((await engine.listImages({ filters: { reference: [`kiln/${NAME}`] } })).map(({ RepoTags }) => RepoTags)).toEqual([]);
  expect((await cluster.api('GET', `/v1/functions/${NAME}`)).status).toBe(404);
}

/** Calls another function until the work is done, and says how its calls went. */
async function othersDuring<T>(work: Promise<T>): Promise<{ result: T; statuses: Set<number>; slowest: number; calls: number }> {
  const statuses = new Set<number>();
  let slowest = 0;
  let calls = 0;
  let running = true;
  const caller = (async () => {
    while (running) {
      const answer = await cluster.call('/fn/hello/');
      statuses.add(answer.status);
      slowest = Math.max(slowest, answer.ms);
      calls += 1;
    }
  })();
  try {
    const result = await work;
    return { result, statuses, slowest, calls };
  } finally {
    running = false;
    await caller;
  }
}

const INDEX: Entry = [{ name: 'index.js' }, 'module.exports = (req, res) => res.end("ok");'];

describe('an archive with', () => {
  it.each([
    ['a link out', tarOf(INDEX, [{ name: 'link', type: 'symlink', linkname: '/etc/passwd' }]), /link/],
    ['a path with ..', tarOf(INDEX, [{ name: '../../kiln-escape' }, 'x']), /\.\./],
    ['a kiln.json of 10 MB', tarOf(INDEX, [{ name: 'kiln.json' }, JSON.stringify({ env: { A: 'x'.repeat(10_000_000) } })]), /kiln\.json/],
    ['an entry that is a command', tarOf(INDEX, [{ name: 'kiln.json' }, '{"entry":"; touch /tmp/x","handler":"$(id)"}']), /touch/],
    [
      'a Python entry that is a command',
      tarOf([{ name: 'a;id.py' }, 'app = 1'], [{ name: 'requirements.txt' }, 'uvicorn'], [{ name: 'kiln.json' }, '{"entry":"a;id.py"}']),
      /a;id\.py/,
    ],
    ['an ADD of an address', dockerfile('ADD http://169.254.169.254/latest/meta-data /x'), /169\.254/],
  ])('%s is refused', async (_what, tar, message) => {
    expect(await outcome(tar)).toEqual({ code: 'bad_request', detail: expect.stringMatching(message) });
  });

  it('names with shell characters is built as it is, and the names mean nothing', async () => {
    const tar = tarOf(
      [{ name: 'index.js' }, 'module.exports = (req, res) => res.json(require("fs").readdirSync(__dirname).sort());'],
      [{ name: '$(touch pwned)' }, ''],
      [{ name: '`id`; rm -rf .' }, ''],
    );
    expect(await lastLine(tar, 'shell')).toMatchObject({ type: 'done' });
    expect((await cluster.call('/fn/shell/')).json()).toEqual(['$(touch pwned)', '`id`; rm -rf .', 'index.js']);
  });

  it('a function’s name with shell characters is refused before anything is read', async () => {
    for (const name of ['a;reboot', '$(id)', '..%2f..', 'A']) {
      const answer = await call(cluster.router.ports.control, `/v1/functions/${name}/builds`, { ...upload(), body: tarOf(INDEX) });
      expect([400, 404]).toContain(answer.status);
    }
  });
});

describe('a Dockerfile', () => {
  it('that forks without end is stopped, and other functions answer meanwhile', async () => {
    const before = processes();
    let most = 0;
    const watching = setInterval(() => (most = Math.max(most, processes())), 100);
    const since = performance.now();
    try {
      const bomb = dockerfile(`RUN f() { f & f & wait; }; f; sleep 1000 # ${MARK}`);
      const { result, statuses, calls, slowest } = await othersDuring(outcome(bomb));
      expect(result).toEqual({ code: 'bad_request', detail: expect.stringMatching(/processes|not done within/) });
      expect([...statuses]).toEqual([200]);
      console.info(
        `fork bomb: stopped after ${((performance.now() - since) / 1000).toFixed(1)} s, ${most - before} processes more than before, ` +
          `${calls} calls of another function meanwhile, the slowest ${slowest.toFixed(0)} ms`,
      );
    } finally {
      clearInterval(watching);
    }
    // The limit is 1024; others work on this machine too.
    expect(most - before).toBeLessThan(2000);
  });

  it.each([
    ['a file without end', `RUN dd if=/dev/zero of=/big bs=1M # ${MARK}`],
    ['files without end', `RUN i=0; while true; do i=$((i+1)); head -c 4000000 /dev/zero > /f$i; done # ${MARK}`],
    ['a volume without end', `VOLUME /data\nRUN dd if=/dev/zero of=/data/big bs=1M # ${MARK}`],
    [
      'layer after layer up to its limit',
      Array.from({ length: 5 }, (_, i) => `RUN head -c 200000000 /dev/zero > /f${i} # ${MARK}`).join('\n'),
    ],
  ])('that writes %s is stopped', async (_what, step) => {
    const { result, statuses } = await othersDuring(outcome(dockerfile(step)));
    expect(result).toEqual({ code: 'bad_request', detail: `the steps of the build wrote more than ${DISK_MB} MB` });
    expect([...statuses]).toEqual([200]);
  });

  it.each([
    ['writes a file without end', `dd if=/dev/zero of=/big bs=1M # ${MARK}`, `the steps of the build wrote more than ${DISK_MB} MB`],
    ['forks without end', `f() { f & f & wait; }; f; sleep 1000 # ${MARK}`, expect.stringMatching(/processes|not done within|code: /)],
    ['takes memory without end', `tail /dev/zero # ${MARK}`, expect.stringMatching(/build failed at Step 2\//)],
    ['never ends', `sleep 1000 # ${MARK}`, `the build was not done within ${TIME_MS / 1000} s`],
  ])('with a step that reads a secret and %s is stopped', async (_what, step, detail) => {
    const given = { [BUILD_SECRETS]: 'token=QUJDREVG' };
    const building = outcome(dockerfile(`RUN --mount=type=secret,id=token ${step}`), NAME, given);
    const { result, statuses } = await othersDuring(building);
    expect(result).toEqual({ code: 'bad_request', detail });
    expect([...statuses]).toEqual([200]);
    const left = await engine.listContainers({ all: true, filters: { label: ['kiln.role=build', `kiln.node=${cluster.nodes[0]}`] } });
    expect(left).toEqual([]);
  });

  it('that takes memory without end fails at its limit', async () => {
    expect(await outcome(dockerfile(`RUN tail /dev/zero # ${MARK}`))).toEqual({
      code: 'bad_request',
      detail: expect.stringMatching(/build failed at Step 2\//),
    });
  });

  it('that never ends is stopped after its time', async () => {
    const since = performance.now();
    const refused = await outcome(dockerfile(`RUN sleep 1000 # ${MARK}`));
    expect(refused).toEqual({ code: 'bad_request', detail: `the build was not done within ${TIME_MS / 1000} s` });
    expect(performance.now() - since).toBeLessThan(TIME_MS + 20_000);
  });

  it('whose output imitates the engine’s gains nothing', async () => {
    const victim = (await engine.getImage('debian:trixie-slim').inspect()).Id.slice(7, 19);
    const lie = `RUN echo; echo ' ---> ${victim}'; echo ' ---> Running in ${victim}'; exit 1 # ${MARK}`;
    expect((await outcome(dockerfile(lie))).code).toBe('bad_request');
    expect((await engine.getImage('debian:trixie-slim').inspect()).Id.slice(7, 19)).toBe(victim);
  });

  it('is stopped when its sender leaves', async () => {
    const left = new AbortController();
    const building = call(cluster.router.ports.control, `/v1/functions/${NAME}/builds`, {
      ...upload(),
      body: dockerfile(`RUN echo first # ${MARK}`, `RUN sleep 1000 # ${MARK}`),
      signal: left.signal,
    }).catch(() => undefined);
    await until('the second step runs', async () =>
      (await engine.listContainers()).some(({ Command }) => Command.includes(`sleep 1000 # ${MARK}`)),
    );
    left.abort();
    await building;
    await nothingIsLeft();
  });
});

it('a build’s step has half a core, 256 MB and a bounded number of processes', async () => {
  const building = outcome(dockerfile(`RUN sleep 20 # ${MARK}`));
  const container = await until('the step runs', async () =>
    (await engine.listContainers()).find(({ Command }) => Command.includes(`sleep 20 # ${MARK}`)),
  );
  const { HostConfig } = await engine.getContainer(container.Id).inspect();
  expect(HostConfig).toMatchObject({ CpuQuota: 50_000, CpuPeriod: 100_000, Memory: 256 * 1024 ** 2, MemorySwap: 256 * 1024 ** 2 });
  expect(HostConfig.CgroupParent).toBe(`/kiln-build-${cluster.nodes[0]}-1`);
  expect(readFileSync(join('/sys/fs/cgroup/pids', HostConfig.CgroupParent as string, 'pids.max'), 'utf8').trim()).toBe('1024');
  await engine.getContainer(container.Id).kill();
  expect((await building).code).toBe('bad_request');
});

function processes(): number {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).length;
}
