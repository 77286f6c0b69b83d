import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KilnError } from '@kiln/contract/errors';
import { resolveConfig } from '@kiln/contract/function-config';
import { buildRunnerImage } from '@kiln/testing/test-image';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeParts, openNode } from '../node-parts.js';
import type { FunctionVersion } from '../pool/container-driver.js';
import { Admit } from './admit.js';
import { CallerCheck } from './caller-check.js';
import { createDataListener, type DataListener } from './listen.js';

const SECRET = 'a-secret-of-the-cluster';
const node = `t-${randomBytes(4).toString('hex')}`;
const versions = new Map<string, FunctionVersion>();
let home: string;
let parts: NodeParts;
let listener: DataListener;
let port: number;
let image: { id: string; remove(): Promise<void> };

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'kiln-'));
  image = await buildRunnerImage(`export default (request, response) => { response.end('hello ' + request.url); };`);
  parts = await openNode({
    node,
    home,
    dockerHost: 'unix:///var/run/docker.sock',
    memory: 2048,
    cpus: 32,
    slots: { reserve: async () => true, release: () => undefined },
    onLogRecord: () => undefined,
    onTrouble: (m) => console.info(m),
  });
  const admit = new Admit({
    check: new CallerCheck(SECRET),
    pools: parts.pools,
    versions: {
      find: async (name, version) => {
        const found = versions.get(`${name}@${version}`);
        if (found === undefined) throw new KilnError('version_not_found', 'none');
        return found;
      },
    },
  });
  listener = createDataListener({ host: '127.0.0.1', port: 0, pools: parts.pools, admit, onFault: (e) => console.error(e) });
  ({ port } = await listener.listen());
});
afterAll(async () => {
  await listener?.drain(1000);
  await expect.poll(() => parts.pools.living.size, { timeout: 10_000 }).toBe(0);
  await listener?.close();
  await parts?.engine.close();
  await image?.remove();
  rmSync(home, { recursive: true, force: true });
});

function get(name: string): Promise<{ status: number; headers: http.IncomingHttpHeaders; text: string; ms: number }> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        port,
        path: '/x?y=%2F',
        headers: { 'x-kiln-secret': SECRET, 'x-kiln-function': name, 'x-kiln-version': '1', 'x-request-id': 'r1' },
      },
      (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text, ms: performance.now() - began }));
      },
    );
    request.on('error', reject);
    request.end();
  });
}

describe('the slice', () => {
  it('answers', async () => {
    versions.set('hello@1', { function: 'hello', version: 1, image: image.id, kind: 'runner', config: resolveConfig({}, 'runner') });
    const first = await get('hello');
    console.log(first);
    const second = await get('hello');
    console.log(second);
    expect(second.headers['x-kiln-start']).toBe('warm');
  });
});
