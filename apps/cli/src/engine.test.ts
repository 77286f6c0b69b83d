import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEngine, sweep } from './engine.js';

let folder: string;
let server: http.Server;
let removed: string[];

const labelled = (id: string, node?: string) => ({ Id: id, Labels: node === undefined ? null : { 'kiln.node': node } });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kiln-cli-'));
  removed = [];
  server = http.createServer(({ method, url = '' }, response) => {
    if (method === 'DELETE') {
      removed.push(url);
      response.writeHead(url.includes('gone') ? 404 : 204).end();
    } else if (url.startsWith('/containers/json?all=true')) {
      response.end(JSON.stringify([labelled('mine', 'n-1'), labelled('gone', 'n-1'), labelled('other', 'n-10'), labelled('none')]));
    } else if (url.startsWith('/networks')) response.end(JSON.stringify([labelled('net', 'n-2'), labelled('theirs', 'x')]));
    else response.writeHead(500).end('broken');
  });
  await new Promise<void>((resolve) => server.listen(join(folder, 'engine.sock'), resolve));
});

afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('the engine', () => {
  it('removes what carries one of the ids, and nothing else', async () => {
    const engine = await openEngine(`unix://${join(folder, 'engine.sock')}`);
    expect(await sweep(engine, ['n-1', 'n-2'])).toEqual({ containers: 1, networks: 1 });
    expect(removed).toEqual(['/containers/mine?force=true&v=true', '/containers/gone?force=true&v=true', '/networks/net']);
  });

  it('says what it answered', async () => {
    const engine = await openEngine(`unix://${join(folder, 'engine.sock')}`);
    await expect(engine.info()).rejects.toThrow(/HTTP code 500.*broken/);
  });

  it('refuses an address that it can not speak to', async () => {
    await expect(openEngine('ssh://somewhere')).rejects.toThrow(/neither unix:\/\/ nor tcp:\/\//);
  });
});
