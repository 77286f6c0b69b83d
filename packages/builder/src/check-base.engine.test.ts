import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { engine, removeImages } from '@kiln/testing/engine';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build } from './build.js';

const id = randomBytes(4).toString('hex');
const name = `t-base-${id}`;
const bases = [`${name}-fetches:1`, `${name}-copies:1`, `${name}-plain:1`];
let other = '';

function buildFiles(Dockerfile: string, buildArgs: Record<string, string> = {}) {
  const archive = pack();
  archive.entry({ name: 'Dockerfile' }, Dockerfile);
  archive.finalize();
  const source = Readable.from(archive).pipe(createGzip());
  return build({ docker: engine, source, functionName: name, buildArgs, onLine: () => undefined, signal: new AbortController().signal });
}

async function makeBase(tag: string, ...triggers: string[]): Promise<void> {
  const container = await engine.createContainer({ Image: 'debian:trixie-slim', Cmd: ['true'], Labels: { 'kiln.node': name } });
  const [repo, version] = tag.split(':');
  try {
    await container.commit({ repo, tag: version, changes: triggers.map((trigger) => `ONBUILD ${trigger}`).join('\n') });
  } finally {
    await container.remove();
  }
}

beforeAll(async () => {
  other = (await buildFiles('FROM debian:trixie-slim\nRUN echo theirs > /theirs\nCMD ["true"]\n')).image;
  await engine.getImage(other).tag({ repo: `${name}-moved`, tag: '1' });
  await makeBase(bases[0] as string, 'ADD http://169.254.169.254/latest /x');
  await makeBase(bases[1] as string, `COPY --from=${name}-moved:1 /theirs /x`);
  await makeBase(bases[2] as string, 'RUN echo fine');
});
afterAll(async () => {
  const own = await engine.listImages({ filters: { reference: [`kiln/${name}`] } });
  await removeImages([...bases, `${name}-moved:1`, ...own.flatMap(({ RepoTags }) => RepoTags ?? [])]);
});

describe('a Dockerfile that builds on', () => {
  it.each([
    ['another function’s image', () => `FROM kiln/${name}:x`, /image of a function/],
    ['the same by a name of one’s own', () => `FROM ${name}-moved:1`, /image of a function/],
    ['the same by its id', () => `FROM ${other}`, /image of a function|id of an image/],
    ['the same by the begin of its id', () => `FROM ${other.slice(7, 19)}`, /image of a function|id of an image/],
    ['any image by its id', () => 'FROM BASE', /id of an image/],
    ['a variable for it', () => `ARG X=kiln/${name}\nFROM $X:x`, /image of a function/],
    ['a stage that copies from it', () => `FROM debian:trixie-slim\nCOPY --from=${name}-moved:1 /theirs /x`, /image of a function/],
    ['an image whose trigger copies from it', () => `FROM ${bases[1]}`, /image of a function/],
    ['an image whose trigger has the engine fetch', () => `FROM ${bases[0]}`, /ONBUILD ADD http:\/\/169\.254\.169\.254/],
  ])('%s is refused', async (_what, dockerfile, message) => {
    const { Id } = await engine.getImage('debian:trixie-slim').inspect();
    await expect(buildFiles(`${dockerfile().replace('BASE', Id)}\nCMD ["true"]\n`)).rejects.toThrow(message);
  });

  it('an image with other triggers is built', async () => {
    expect((await buildFiles(`FROM ${bases[2]}\nCMD ["true"]\n`)).kind).toBe('http');
  });

  it('an image that a build argument names is built', async () => {
    expect((await buildFiles('ARG V\nFROM debian:$V\nCMD ["true"]\n', { V: 'trixie-slim' })).kind).toBe('http');
  });
});
