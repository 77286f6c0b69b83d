import { randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { engine } from '@kiln/testing/engine';
import { buildTestImage } from '@kiln/testing/images/test-image';
import Dockerode from 'dockerode';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type DescribeRequest, describeExports } from './describe.js';

const request = (change: Partial<DescribeRequest>): DescribeRequest => ({
  docker: engine,
  image: 'sha256:none',
  entry: 'index.js',
  env: {},
  memory: 128,
  cpus: 1,
  time: 30_000,
  labels: { 'kiln.role': 'build' },
  signal: new AbortController().signal,
  ...change,
});

/** Prints a description with a handler that is named as the entry, so often. */
const RUNNER = `
const { KILN_ENTRY, TIMES } = process.env;
console.log(JSON.stringify({ exports: Array(Number(TIMES)).fill({ name: KILN_ENTRY, kind: 'function' }) }));`;

describe('what a module exports, asked of the engine', () => {
  it('is kept for the next build where it was told, and asked again where it was not or is long', async () => {
    const built = await buildTestImage({
      Dockerfile: 'FROM node:24-trixie-slim\nCOPY runner.mjs /opt/kiln/runner.mjs\nWORKDIR /app\n',
      'runner.mjs': RUNNER,
    });
    onTestFinished(() => built.remove());
    // No container is asked and has answered within a millisecond: what is told in that time was known.
    const ask = async (time: number, times: number) => {
      const told = await describeExports(request({ image: built.id, time, env: { TIMES: String(times) } }));
      return 'exports' in told ? told.exports.length : told.failure;
    };
    const late = 'the module was not loaded after 1 ms';
    expect([await ask(1, 2), await ask(30_000, 2), await ask(1, 2)]).toEqual([late, 2, 2]);
    expect([await ask(30_000, 3000), await ask(1, 3000)]).toEqual([3000, late]);
  });
});

describe('what is kept of it', () => {
  /** Answers for an engine over a socket: hundreds of containers would take minutes. */
  async function countingEngine(): Promise<{ docker: Dockerode; asked: () => number }> {
    const output = Buffer.from(`${JSON.stringify({ exports: [{ name: 'a', kind: 'function' }] })}\n`);
    const frame = Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, output.length]), output]);
    let asked = 0;
    const server = http.createServer((call, response) => {
      call.resume();
      if (call.url!.startsWith('/containers/create')) response.writeHead(201).end(`{"Id":"${++asked}"}`);
      else if (call.url!.startsWith('/info')) response.end('{"CgroupDriver":"cgroupfs"}');
      else if (call.url!.includes('/wait')) response.end('{"StatusCode":0}');
      else if (call.url!.includes('/logs')) response.end(frame);
      else response.writeHead(204).end();
    });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return { docker: new Dockerode({ protocol: 'http', host: '127.0.0.1', port }), asked: () => asked };
  }

  it('is no more than the 200 used last, by image, entry and variables', async () => {
    const { docker, asked } = await countingEngine();
    const image = `sha256:${randomUUID()}`;
    const ask = async (change: Partial<DescribeRequest>) => {
      const before = asked();
      await describeExports(request({ docker, image, ...change }));
      return asked() > before;
    };
    expect([await ask({}), await ask({}), await ask({ entry: 'b.js' }), await ask({ env: { A: '1' } })]).toEqual([true, false, true, true]);
    for (let i = 0; i < 197; i += 1) await ask({ env: { A: `x${i}` } });
    expect(await ask({})).toBe(false);
    await ask({ env: { A: 'one more' } });
    expect([await ask({}), await ask({ entry: 'b.js' })]).toEqual([false, true]);
  });
});
