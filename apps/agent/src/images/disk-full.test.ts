import { KilnError } from '@kiln/contract/errors';
import { describe, expect, it } from 'vitest';
import { keepBuilt } from '../builds/keep-built.js';
import type { Builder, BuildInput } from '../builds/run-build.js';

const input = {} as BuildInput;

async function outcome(builder: Builder) {
  const kept: string[] = [];
  let [made, rooms] = [0, 0];
  const keep = async (image: string) => {
    kept.push(image);
  };
  const building = keepBuilt(builder, { keep, makeRoom: async () => void made++, wantRoom: () => rooms++ })(input);
  const error: KilnError | undefined = await building.then(
    () => undefined,
    (reason) => reason,
  );
  return { kept, made, rooms, code: error?.code, message: error?.message };
}

const failing = (message: string): Builder => {
  return () => Promise.reject(new KilnError('bad_request', message));
};

describe('a build', () => {
  it('that works leaves an image that the node holds', async () => {
    const built = { image: 'sha256:1', digest: 'sha256:1', kind: 'http', config: {} } as const;
    expect(await outcome(async () => built)).toMatchObject({ kept: ['sha256:1'], made: 1, rooms: 0, code: undefined });
  });

  it('that finds the disk full says so, and asks for room', async () => {
    const found = await outcome(failing('build failed at Step 2/3 "COPY . .": write /app/x: no space left on device\nStep 2/3 : COPY . .'));
    expect(found).toMatchObject({ kept: [], rooms: 1, code: 'no_capacity', message: expect.stringContaining('Step 2/3') });
  });

  it('that fails in a step of its own keeps its own words', async () => {
    const found = await outcome(
      failing('build failed at Step 2/3 "RUN make": returned a non-zero code: 2\ncp: /dev/shm/x: No space left on device'),
    );
    expect(found).toMatchObject({ rooms: 0, code: 'bad_request' });
  });
});
