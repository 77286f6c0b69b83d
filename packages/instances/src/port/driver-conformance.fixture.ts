import { randomBytes } from 'node:crypto';
import { resolveConfig } from '@kiln/contract/config/function-config';
import { freePorts } from '@kiln/testing/ports';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { HttpAccess } from '../instance/http-access.js';
import type { ContainerDriver, ContainerRequest, RunningContainer } from './container-driver.js';

export type Behaviour = 'serves' | 'exits' | 'silent' | 'stubborn' | 'missing';

/** One implementation of the port, and how a test asks it for each behaviour. */
export interface Subject {
  driver: ContainerDriver;
  image(behaviour: Behaviour): string;
  /** How many containers of the driver exist. */
  existing(): Promise<number>;
  close(): Promise<void>;
}

/** What every implementation of the port does. */
export function describeDriver(name: string, make: () => Promise<Subject>): void {
  describe(`the ${name} container driver`, () => {
    let subject: Subject;
    let port: number;
    beforeAll(async () => {
      subject = await make();
      [port] = (await freePorts(1)) as [number];
    });
    afterAll(() => subject?.close());

    const request = (behaviour: Behaviour, output: string[] = []) => requestFor(subject.image(behaviour), port, output);

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

    it('kills one that ignores SIGTERM when its grace is over, or sooner where it is told to with less grace', async () => {
      const output: string[] = [];
      const container = await subject.driver.start(request('stubborn', output));
      await vi.waitFor(() => expect(output.join('')).toContain('deaf'), 5000);
      const gone = container.remove(120_000);
      await vi.waitFor(() => expect(output.join('')).toContain('told'), 5000);
      expect(await subject.existing()).toBe(1);
      await Promise.all([container.remove(100), gone]);
      expect(await subject.existing()).toBe(0);
    });

    it('leaves nothing behind where it cannot start one, and says so', async () => {
      await expect(subject.driver.start(request('missing'))).rejects.toMatchObject({ code: 'start_failed' });
      await vi.waitFor(async () => expect(await subject.existing()).toBe(0), 5000);
    });
  });
}

function requestFor(image: string, port: number, output: string[]): ContainerRequest {
  return {
    instance: randomBytes(6).toString('hex'),
    version: { function: 'driven', version: 1, image, kind: 'http', config: resolveConfig({ memory: 64, port }, 'http') },
    secrets: {},
    onOutput: (source, chunk) => output.push(`${source}: ${String(chunk)}`),
  };
}
