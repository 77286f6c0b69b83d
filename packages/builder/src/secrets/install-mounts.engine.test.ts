import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createGzip } from 'node:zlib';
import { engine } from '@kiln/testing/engine';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build } from '../build.js';
import { planOf } from '../source/source.fixture.js';
import { mountSecrets } from './install-mounts.js';

const name = `t-private-${randomBytes(4).toString('hex')}`;
const TOKEN = `npm_${randomBytes(12).toString('hex')}`;

let server: Server;
let registry: string;

/** A registry with one package, and only for those who bring the token. */
beforeAll(async () => {
  const tarball = await buffer(
    archive({ 'package/package.json': '{"name":"private","version":"1.0.0"}', 'package/index.js': 'module.exports = "private";' }),
  );
  server = createServer((request, response) => {
    if (request.headers.authorization !== `Bearer ${TOKEN}`) return response.writeHead(401).end();
    if (request.url === '/private.tgz') return response.end(tarball);
    const version = { name: 'private', version: '1.0.0', dist: { tarball: `${registry}private.tgz` } };
    return response.end(JSON.stringify({ name: 'private', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } }));
  });
  await once(server.listen(0, '0.0.0.0'), 'listening');
  const { IPAM } = (await engine.getNetwork('bridge').inspect()) as { IPAM: { Config: { Subnet: string; Gateway?: string }[] } };
  const [{ Subnet = '', Gateway = undefined } = {}] = IPAM.Config;
  // An engine that has made its bridge anew names no gateway: it is the first address.
  const gateway = Gateway ?? Subnet.replace(/\.0\/\d+$/, '.1');
  registry = `http://${gateway}:${(server.address() as { port: number }).port}/`;
});
afterAll(async () => {
  server.close();
  for (const { RepoTags } of await engine.listImages({ filters: { reference: [`kiln/${name}`] } }))
    for (const tag of RepoTags ?? []) if (tag.startsWith(`kiln/${name}:`)) await engine.getImage(tag).remove();
});

function archive(files: Record<string, string>): Readable {
  const tar = pack();
  for (const [path, content] of Object.entries(files)) tar.entry({ name: path }, content);
  tar.finalize();
  return Readable.from(tar).pipe(createGzip());
}

it('a function whose dependencies a private registry has is installed with the login of its npmrc', async () => {
  const npmrc = `registry=${registry}\n//${new URL(registry).host}/:_authToken=${TOKEN}\n`;
  const files = {
    'index.js': "module.exports = { func() {}, config: { env: { GOT: require('private') } } };",
    'package.json': '{"dependencies":{"private":"1.0.0"}}',
  };
  const lines: string[] = [];
  const given = { docker: engine, functionName: name, onLine: (line: string) => lines.push(line), signal: new AbortController().signal };
  const secrets = { npmrc: Buffer.from(npmrc).toString('base64') };
  const built = await build({ ...given, source: archive(files), secrets });
  expect(built.config.env).toEqual({ GOT: 'private' });
  const chunks: Buffer[] = [];
  for await (const chunk of await engine.getImage(built.image).get()) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks).includes(TOKEN)).toBe(false);
  expect(lines.join('\n')).not.toContain(TOKEN);
});

describe('mountSecrets', () => {
  it.each([
    ['npm', { 'index.js': 'exports.f = () => {}', 'package.json': '{"dependencies":{"a":"1"}}', 'package-lock.json': '{}' }, 1],
    ['pnpm', { 'index.js': 'exports.f = () => {}', 'package.json': '{"dependencies":{"a":"1"},"packageManager":"pnpm@10.0.0"}' }, 1],
    ['yarn', { 'index.js': 'exports.f = () => {}', 'package.json': '{"dependencies":{"a":"1"},"packageManager":"yarn@4.0.0"}' }, 1],
    ['pip', { 'handler.py': 'def handler(event): pass', 'requirements.txt': 'a' }, 1],
    ['go', { 'go.mod': 'module a\nrequire a.b/c v1.0.0\n', 'main.go': 'package main' }, 2],
    ['cargo', { 'Cargo.toml': '[package]\nname = "a"', 'src/main.rs': '' }, 1],
    ['nothing', { 'index.html': '' }, 0],
  ])('gives them to what %s installs', async (_what, files, steps) => {
    const { text } = await planOf(files as Record<string, string>);
    const mounted = mountSecrets(text, ['npmrc', 'other']);
    expect(mounted.match(/^RUN --mount=type=secret,id=npmrc,target=\/root\/\.npmrc --mount=type=secret,id=other \S/gm) ?? []).toHaveLength(
      steps,
    );
  });
});
