import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { pack } from 'tar-stream';

const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
const CONFIG = 'application/vnd.docker.container.image.v1+json';
const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';

const SERVER = `
require('node:http')
  .createServer((request, response) => response.end(process.env.KILN_FUNCTION + ' ' + process.env.KILN_VERSION))
  .listen(Number(process.env.PORT), '0.0.0.0');
`;

/** One layer of an image: a tar, and what names it. */
export interface Layer {
  digest: string;
  content: Buffer;
}

/** Node, the libraries that it needs, and a server that says which function and version it is. */
export async function nodeLayer(): Promise<Layer> {
  const libraries = execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
  const files = new Map([...libraries].map((path) => [path, readFileSync(realpathSync(path))]));
  files.set('/bin/node', readFileSync(process.execPath));
  files.set('/server.js', Buffer.from(SERVER));
  return layerOf(files);
}

/** A layer like no other. */
export function randomLayer(bytes: number): Promise<Layer> {
  return layerOf(new Map([['/content', randomBytes(bytes)]]));
}

async function layerOf(files: ReadonlyMap<string, Buffer>): Promise<Layer> {
  const tar = pack();
  for (const [path, content] of files) tar.entry({ name: path.slice(1), mode: 0o755 }, content);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  const content = Buffer.concat(chunks);
  return { digest: digestOf(content), content };
}

/** Puts an image of these layers straight into a registry on loopback, past every engine. Its reference, by digest. */
export async function publishImage(host: string, repository: string, layers: readonly Layer[]): Promise<string> {
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      config: { Cmd: ['/bin/node', '/server.js'] },
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    }),
  );
  const blobs = [...layers, { digest: digestOf(config), content: config }];
  for (const blob of blobs) await upload(host, repository, blob);
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: { mediaType: CONFIG, size: config.length, digest: digestOf(config) },
      layers: layers.map(({ digest, content }) => ({ mediaType: LAYER, size: content.length, digest })),
    }),
  );
  const digest = digestOf(manifest);
  await sent(`http://${host}/v2/${repository}/manifests/${digest}`, 'PUT', manifest, MANIFEST);
  return `${host}/${repository}@${digest}`;
}

async function upload(host: string, repository: string, { digest, content }: Layer): Promise<void> {
  const there = await fetch(`http://${host}/v2/${repository}/blobs/${digest}`, { method: 'HEAD' });
  if (there.ok) return;
  const begun = await sent(`http://${host}/v2/${repository}/blobs/uploads/?mount=${digest}&from=shared/base`, 'POST');
  if (begun.status === 201) return;
  const location = new URL(begun.headers.get('location') ?? '', `http://${host}`);
  location.searchParams.set('digest', digest);
  await sent(location.href, 'PUT', content, 'application/octet-stream');
}

async function sent(url: string, method: string, body?: Buffer, type?: string): Promise<Response> {
  const answer = await fetch(url, {
    method,
    ...(body !== undefined && { body: new Uint8Array(body) }),
    ...(type !== undefined && { headers: { 'content-type': type } }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text.slice(0, 500)}`);
  return answer;
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
