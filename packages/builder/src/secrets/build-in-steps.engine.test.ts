import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { KilnError } from '@kiln/contract/errors';
import { engine } from '@kiln/testing/engine';
import { pack } from 'tar-stream';
import { afterAll, describe, expect, it } from 'vitest';
import { type BuildRequest, build } from '../build.js';

const name = `t-secrets-${randomBytes(4).toString('hex')}`;
const VALUE = `value-${randomBytes(12).toString('hex')}`;
const secrets = { token: Buffer.from(`${VALUE}\n`).toString('base64') };
let lines: string[] = [];

afterAll(async () => {
  for (const { RepoTags } of await engine.listImages({ filters: { reference: [`kiln/${name}`] } }))
    for (const tag of RepoTags ?? []) if (tag.startsWith(`kiln/${name}:`)) await engine.getImage(tag).remove();
});

function buildFiles(files: Record<string, string>, request: Partial<BuildRequest> = {}) {
  const archive = pack();
  for (const [path, content] of Object.entries(files)) archive.entry({ name: path }, content);
  archive.finalize();
  lines = [];
  const source = Readable.from(archive).pipe(createGzip());
  const onLine = (line: string) => lines.push(line);
  return build({ docker: engine, source, functionName: name, onLine, signal: new AbortController().signal, secrets, ...request });
}

async function refusal(building: Promise<unknown>): Promise<KilnError> {
  const error = await building.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof KilnError) return error;
  throw new Error(`was not refused: ${String(error)}`);
}

const containers = async () => (await engine.listContainers({ all: true })).filter(({ Labels }) => Labels['kiln.node']?.startsWith(name));

/** All that a finished image tells: its layers, byte for byte, and what the engine says of it. */
async function everything(image: string): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of await engine.getImage(image).get()) chunks.push(chunk as Buffer);
  const told = [await engine.getImage(image).inspect(), await engine.getImage(image).history()];
  return Buffer.concat(chunks).toString('latin1') + JSON.stringify(told);
}

describe('a step with a secret', () => {
  it('reads it, and the image keeps what the step wrote and nothing of the secret', async () => {
    const Dockerfile = `FROM debian:trixie-slim AS one
ARG ID=${name}
ARG WHO=nobody
ARG UNSET
ENV FIXED=1
WORKDIR /place
COPY . .
RUN --mount=type=secret,id=token,required=true --mount=type=secret,id=token,target=/root/sub/.tokenrc \\
  tr a-z A-Z < /run/secrets/token | sha256sum > sum && cat /root/sub/.tokenrc >&2 \\
  && echo "$WHO-$FIXED-\${UNSET-none}-$(stat -c %a:%u /run/secrets/token)" > seen && ls -A > files
RUN test ! -e /run/secrets/token && test ! -L /root/sub/.tokenrc && echo "still $WHO"
FROM debian:trixie-slim
COPY --from=one /place /place
RUN --mount=type=secret,id=token true
USER 65532
CMD ["cat", "/place/seen", "/place/files"]
`;
    const built = await buildFiles({ Dockerfile, 'a.txt': 'x', '.dockerignore': 'b.txt\n' }, { buildArgs: { WHO: 'Ada $(id)' } });
    expect(lines.join('\n')).toContain('***');
    expect(lines.join('\n')).not.toContain(VALUE);
    expect(lines).toContain('still Ada $(id)');
    expect(lines.join('\n')).not.toContain('kiln.build');
    expect(await everything(built.image)).not.toContain(VALUE);
    const { Config } = await engine.getImage(built.image).inspect();
    expect(Config.Labels).toEqual({ 'kiln.kind': 'http', 'kiln.role': '', 'kiln.node': '' });
    expect(await output(built.image)).toBe('Ada $(id)-1-none-400:0\nDockerfile\na.txt\nfiles\nseen\nsum\n');
    expect(await containers()).toEqual([]);
  });

  it('leaves the image as it was, but for its files', async () => {
    const above =
      'FROM debian:trixie-slim\nENTRYPOINT ["/bin/echo"]\nCMD ["a"]\nHEALTHCHECK --interval=9s CMD true\nSHELL ["/bin/bash", "-ec"]\nONBUILD RUN echo again\n';
    const plain = await buildFiles({ Dockerfile: `${above}RUN echo x > /x\n` });
    const secret = await buildFiles({ Dockerfile: `${above}RUN --mount=type=secret,id=token [[ -s /run/secrets/token ]]; echo x > /x\n` });
    const [one, two] = await Promise.all([plain, secret].map(async ({ image }) => (await engine.getImage(image).inspect()).Config));
    const { Hostname: _, Image: __, Labels: ___, ...rest } = one as NonNullable<typeof one>;
    expect(two).toMatchObject(rest);
  });

  it('of builds at the same moment is run for each or found, and never lost', async () => {
    const Dockerfile = (at: number) =>
      `FROM debian:trixie-slim\nARG A=1\nRUN --mount=type=secret,id=token echo ${name}-$A\nCMD ["echo", "at ${at}"]\n`;
    const built = await Promise.all([1, 2, 3].map((at) => buildFiles({ Dockerfile: Dockerfile(at) })));
    expect(await Promise.all(built.map(({ image }) => output(image)))).toEqual(['at 1\n', 'at 2\n', 'at 3\n']);
  });

  it('is found the second time, when something below it has changed', async () => {
    const files = (text: string) => ({
      Dockerfile:
        'FROM debian:trixie-slim\nCOPY a /a\nRUN --mount=type=secret,id=token date +%N > /when\nCOPY b /b\nCMD ["cat", "/when"]\n',
      a: 'a',
      b: text,
    });
    const one = await buildFiles(files('one'));
    const two = await buildFiles(files('two'));
    expect(two.image).not.toBe(one.image);
    expect(await output(two.image)).toBe(await output(one.image));
  });

  it('that fails tells at which step and what it said, and leaves nothing', async () => {
    const before = new Set((await engine.listImages({ all: true })).map(({ Id }) => Id));
    const Dockerfile = `FROM debian:trixie-slim\nRUN touch /${name}\nRUN --mount=type=secret,id=token cat /run/secrets/token; exit 7\n`;
    const error = await refusal(buildFiles({ Dockerfile }, { nodeId: `${name}-x` }));
    expect(error.message).toMatch(/build failed at Step 3\/3 "RUN --mount=type=secret,id=token.*non-zero code: 7[\s\S]*\*\*\*/);
    expect(error.message).not.toContain(VALUE);
    expect(await containers()).toEqual([]);
    const left = (await engine.listImages({ all: true })).filter(({ Id }) => !before.has(Id));
    const histories = await Promise.all(
      left.map(({ Id }) =>
        engine
          .getImage(Id)
          .history()
          .catch(() => []),
      ),
    );
    expect(JSON.stringify(histories)).not.toContain(name);
  });

  it.each([
    ['a secret that is not given', 'RUN --mount=type=secret,id=other,required=true true', /requires the secret "other"/],
    [
      'a file of the step’s own in its place',
      'RUN --mount=type=secret,id=token,target=/t cp --remove-destination /t /u && mv /u /t',
      /written over/,
    ],
    ['a place that is taken', 'RUN --mount=type=secret,id=token,target=/etc/passwd true', /something is there/],
  ])('refuses %s', async (_what, step, message) => {
    const error = await refusal(buildFiles({ Dockerfile: `FROM debian:trixie-slim\n${step}\n` }, { nodeId: `${name}-x` }));
    expect([error.code, error.message]).toEqual(['bad_request', expect.stringMatching(message)]);
    expect(await containers()).toEqual([]);
  });

  it.each([
    ['no shell', 'FROM scratch\nCOPY Dockerfile /', /build failed at Step 3\/3 .*no \/bin\/sh/],
    ['no cat', 'FROM debian:trixie-slim\nRUN rm /usr/bin/cat', /no \/bin\/sh or no cat/],
  ])('says what is missing in an image with %s', async (_what, above, message) => {
    const error = await refusal(buildFiles({ Dockerfile: `${above}\nRUN --mount=type=secret,id=token true\n` }, { nodeId: `${name}-x` }));
    expect([error.code, error.message]).toEqual(['bad_request', expect.stringMatching(message)]);
    expect(await containers()).toEqual([]);
  });

  it('is bounded as others are, and ends with its build', async () => {
    const cancel = new AbortController();
    const Dockerfile = 'FROM debian:trixie-slim\nRUN --mount=type=secret,id=token echo begun; sleep 1000 & sleep 1000\n';
    const limits = { memory: 64, cpus: 0.5, processes: 99 };
    const building = refusal(buildFiles({ Dockerfile }, { nodeId: `${name}-x`, limits, signal: cancel.signal }));
    await expect.poll(() => lines, { timeout: 30_000 }).toContain('begun');
    const [step] = await containers();
    const { HostConfig } = await engine.getContainer(step?.Id ?? '').inspect();
    const bytes = 64 * 1024 * 1024;
    expect(HostConfig).toMatchObject({
      Memory: bytes,
      MemorySwap: bytes,
      CpuQuota: 50_000,
      CpuPeriod: 100_000,
      PidsLimit: 99,
      AutoRemove: true,
    });
    expect(HostConfig.CgroupParent).toBe(`/kiln-build-${name}-x-1`);
    cancel.abort();
    expect((await building).message).toMatch(/cancelled/);
    expect(await containers()).toEqual([]);
  });

  it('that leaves a process behind is done when it is done', async () => {
    await buildFiles({ Dockerfile: `FROM debian:trixie-slim\nRUN --mount=type=secret,id=token sleep 1000 & echo ${name}\n` });
    expect(lines).toContain(name);
  });

  it('tells of one that nobody asks for', async () => {
    await buildFiles({ Dockerfile: 'FROM debian:trixie-slim\nCMD ["true"]\n' });
    expect(lines.join('\n')).toMatch(/no step asks for the secret "token"/);
  });
});

async function output(image: string): Promise<string> {
  const container = await engine.createContainer({ Image: image, Labels: { 'kiln.node': `${name}-run` }, Tty: true });
  try {
    await container.start();
    await container.wait();
    return ((await container.logs({ stdout: true })) as unknown as Buffer).toString().replaceAll('\r', '');
  } finally {
    await container.remove({ force: true });
  }
}
