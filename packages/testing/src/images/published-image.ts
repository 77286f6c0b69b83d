import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { packFiles } from '../tar.js';

const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
const CONFIG = 'application/vnd.docker.container.image.v1+json';
const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';

const SERVER = `
require('node:http')
  .createServer((request, response) => response.end(process.env.KILN_FUNCTION + ' ' + process.env.KILN_VERSION))
  .listen(Number(process.env.PORT), '0.0.0.0');
`;

/** One layer of an image: a tar and its digest. */
export interface Layer {
  digest: string;
  content: Buffer;
}

/** A layer with Node, its libraries, and a server that responds with its function and version. */
export async function nodeLayer(): Promise<Layer> {
  const libraries = execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
  const files = new Map([...libraries].map((path) => [path.slice(1), readFileSync(realpathSync(path))]));
  files.set('bin/node', readFileSync(process.execPath));
  files.set('server.js', Buffer.from(SERVER));
  return layerOf(files);
}

/** A layer with a digest of its own. */
export function randomLayer(bytes: number): Promise<Layer> {
  return layerOf(new Map([['content', randomBytes(bytes)]]));
}

async function layerOf(files: ReadonlyMap<string, Buffer>): Promise<Layer> {
  const content = await buffer(packFiles(files, 0o755));
  return { digest: digestOf(content), content };
}

/** Uploads an image of these layers to a registry on loopback, without an engine. @returns its reference by digest */
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
  const present = await fetch(`http://${host}/v2/${repository}/blobs/${digest}`, { method: 'HEAD' });
  if (present.ok) return;
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
