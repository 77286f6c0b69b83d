import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { afterEach, describe, expect, it } from 'vitest';
import { call, values } from './call.js';
import { folderTar } from './folder-tar.js';
import { freePorts } from './ports.js';
import { Program } from './program.js';
import { until } from './until.js';

const endings: (() => void)[] = [];
afterEach(() => {
  for (const end of endings.splice(0)) end();
});

describe('call', () => {
  it('sends header lines as they are given, and tells those of the answer apart', async () => {
    const server = http.createServer((request, response) =>
      response
        .writeHead(200, [
          ['Set-Cookie', 'a'],
          ['Set-Cookie', 'b'],
        ])
        .end(JSON.stringify(request.rawHeaders)),
    );
    await new Promise<void>((resolve) => server.listen(0, resolve));
    endings.push(() => server.close());
    const { port } = server.address() as AddressInfo;

    const answer = await call(port, '/', { headers: ['Host', 'h', 'X-A', '1', 'x-a', '2'] });
    expect(answer.json<string[]>().slice(0, 6)).toEqual(['Host', 'h', 'X-A', '1', 'x-a', '2']);
    expect(values(answer.rawHeaders, 'set-cookie')).toEqual(['a', 'b']);
  });

  it('is refused where nobody listens', async () => {
    const [port] = (await freePorts(1)) as [number];
    await expect(call(port, '/')).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe('until', () => {
  it('gives the first value there is', async () => {
    let tries = 0;
    expect(await until('three', () => (++tries === 3 ? tries : undefined))).toBe(3);
  });

  it('names what it waited for, and the last error', async () => {
    const never = until(
      'the moon',
      () => {
        throw new Error('not risen');
      },
      30,
    );
    await expect(never).rejects.toThrow(/the moon.*not risen/);
  });
});

describe('a program', () => {
  const node = (code: string) => new Program('test', { command: process.execPath, args: ['-e', code], env: process.env });

  it('has its output and its exit code', async () => {
    const program = node('console.log("out"); console.error("err"); process.exit(7)');
    expect(await program.exited).toEqual({ code: 7, signal: null });
    expect([program.stdout, program.stderr, program.alive]).toEqual(['out\n', 'err\n', false]);
  });

  it('that ignores SIGTERM is killed after the bound', async () => {
    const program = node('process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("on")');
    await until('it runs', () => program.stdout === 'on\n');
    expect(await program.end(100)).toEqual({ code: null, signal: 'SIGKILL' });
  });

  it('that does not exist says so', async () => {
    const program = new Program('nothing', { command: '/nowhere/nothing', args: [], env: {} });
    expect(await program.exited).toEqual({ code: null, signal: null });
    expect(program.stderr).toMatch(/ENOENT/);
  });
});

describe('folderTar', () => {
  it('packs a folder with the changes asked for', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kiln-tar-'));
    endings.push(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, 'index.js'), 'code');
    writeFileSync(join(folder, 'kiln.json'), '{"name":"old","timeout":5}');

    const found: Record<string, string> = {};
    const reader = extract();
    folderTar(folder, { name: 'new', config: { memory: 64 }, files: { Dockerfile: 'FROM x' } })
      .pipe(createGunzip())
      .pipe(reader);
    for await (const entry of reader) {
      let text = '';
      for await (const chunk of entry) text += String(chunk);
      found[entry.header.name] = text;
    }
    expect(found).toEqual({ 'index.js': 'code', 'kiln.json': '{"name":"new","timeout":5,"memory":64}', Dockerfile: 'FROM x' });
  });
});
