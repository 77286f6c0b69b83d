import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectEngine } from '@kiln/builder/connect-engine';
import { resolveConfig } from '@kiln/contract/function-config';
import { freePorts } from '@kiln/testing/ports';
import { buildTestImage } from '@kiln/testing/test-image';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { NodeEngine } from '../docker/node-engine.js';
import type { ContainerDriver, ContainerRequest, RunningContainer } from './container-driver.js';
import { FakeDriver } from './fake-driver.fixture.js';
import { HttpAccess } from './http-access.js';

type Behaviour = 'serves' | 'exits' | 'silent' | 'missing';

/** One implementation of the port, and how a test asks it for each behaviour. */
interface Subject {
  driver: ContainerDriver;
  image(behaviour: Behaviour): string;
  /** Names of what exists of ours. */
  existing(): Promise<number>;
  close(): Promise<void>;
}

function fake(): Subject {
  const driver = new FakeDriver();
  return { driver, image: (behaviour) => behaviour, existing: async () => driver.running.size, close: async () => undefined };
}

const SCRIPTS: Record<Exclude<Behaviour, 'missing'>, string> = {
  serves: "require('http').createServer((q, r) => r.end('real')).listen(process.env.PORT)",
  exits: "console.log('bye'); process.exit(3)",
  silent: 'setInterval(() => {}, 1000)',
};

async function docker(): Promise<Subject> {
  const client = connectEngine('unix:///var/run/docker.sock');
  const node = `t-${randomBytes(4).toString('hex')}`;
  const sockets = mkdtempSync(join(tmpdir(), 'kiln-'));
  const built = new Map<string, Awaited<ReturnType<typeof buildTestImage>>>();
  for (const [name, script] of Object.entries(SCRIPTS)) {
    built.set(name, await buildTestImage({ Dockerfile: `FROM node:24-trixie-slim\nCMD ["node", "-e", ${JSON.stringify(script)}]\n` }));
  }
  const facts = async (image: string) => {
    const { Config } = await client.getImage(image).inspect();
    return { id: image, entrypoint: [], command: Config.Cmd as string[], workingDirectory: '', volumes: [] };
  };
  const engine = await NodeEngine.open({
    docker: client,
    node,
    socketRoot: sockets,
    firewallRequired: true,
    engineTimeout: 15_000,
    exitTimeout: 10_000,
    facts,
    forget: () => undefined,
    onTrouble: () => undefined,
  });
  return {
    driver: engine.driver,
    image: (behaviour) => built.get(behaviour)?.id ?? `sha256:${'0'.repeat(64)}`,
    existing: async () => (await client.listContainers({ all: true, filters: { label: [`kiln.node=${node}`] } })).length,
    close: async () => {
      await engine.close();
      for (const image of built.values()) await image.remove();
      rmSync(sockets, { recursive: true, force: true });
    },
  };
}

describe.each([
  ['fake', async () => fake()],
  ['docker', docker],
])('the %s container driver', (_name, make) => {
  let subject: Subject;
  let port: number;
  beforeAll(async () => {
    subject = await make();
    [port] = (await freePorts(1)) as [number];
  });
  afterAll(() => subject?.close());

  function request(behaviour: Behaviour, output: string[] = []): ContainerRequest {
    const config = resolveConfig({ memory: 64, port }, 'http');
    return {
      instance: randomBytes(6).toString('hex'),
      version: { function: 'driven', version: 1, image: subject.image(behaviour), kind: 'http', config },
      secrets: {},
      onOutput: (source, chunk) => output.push(`${source}: ${String(chunk)}`),
    };
  }

  async function isGone(container: RunningContainer): Promise<void> {
    await container.remove(0);
    expect(await subject.existing()).toBe(0);
  }

  it('starts a container that is reached at its address', async () => {
    const container = await subject.driver.start(request('serves'));
    const access = new HttpAccess(container.address ?? '', port);
    await access.ready();
    access.destroy();
    await isGone(container);
  });

  it('tells the exit code, after all that was written', async () => {
    const output: string[] = [];
    const container = await subject.driver.start(request('exits', output));
    expect(await container.exited).toEqual({ code: 3, outOfMemory: false });
    expect(output).toEqual(['stdout: bye\n']);
    await isGone(container);
  });

  it('removes a container that runs, once, however often it is told to; and tells that it ended', async () => {
    const container = await subject.driver.start(request('silent'));
    await Promise.all([container.remove(0), container.remove(1000), container.remove(0)]);
    expect(await subject.existing()).toBe(0);
    expect((await container.exited).code).not.toBe(0);
  });

  it('leaves nothing behind where it cannot start one, and says so', async () => {
    await expect(subject.driver.start(request('missing'))).rejects.toMatchObject({ code: 'start_failed' });
    await vi.waitFor(async () => expect(await subject.existing()).toBe(0), 5000);
  });
});
