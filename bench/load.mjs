// Load on one address: with `wrk` if it is installed, else with our own connections in a separate process.
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { connect, requestBytes } from './http-client.mjs';

const run = promisify(execFile);

export const hasWrk = spawnSync('wrk', ['--version'], { stdio: 'ignore' }).error === undefined;

/** @returns the number of calls, the calls per second, and the number of calls without a 2xx response */
export async function load({ port, path, connections, seconds }) {
  return hasWrk ? wrk({ port, path, connections, seconds }) : own({ port, path, connections, seconds });
}

async function wrk({ port, path, connections, seconds }) {
  const { stdout } = await run('wrk', ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, `http://127.0.0.1:${port}${path}`]);
  const failed = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0);
  const broken = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)?.slice(1).map(Number) ?? [];
  return {
    calls: Number(/(\d+) requests in/.exec(stdout)?.[1]),
    rate: Number(/Requests\/sec: +([\d.]+)/.exec(stdout)?.[1]),
    failed: failed + broken.reduce((sum, count) => sum + count, 0),
  };
}

async function own(options) {
  const { stdout } = await run(process.execPath, [import.meta.filename, JSON.stringify(options)]);
  return JSON.parse(stdout);
}

async function generate({ port, path, connections, seconds }) {
  let calls = 0;
  let failed = 0;
  const started = performance.now();
  const end = started + seconds * 1000;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = await connect({ host: '127.0.0.1', port }, requestBytes(path));
      while (performance.now() < end) {
        await client.call().then(
          () => {
            calls += 1;
          },
          () => {
            failed += 1;
          },
        );
      }
      client.close();
    }),
  );
  return { calls, rate: (calls * 1000) / (performance.now() - started), failed };
}

if (process.argv[1] === import.meta.filename) process.stdout.write(JSON.stringify(await generate(JSON.parse(process.argv[2]))));
