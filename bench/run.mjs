// `npm run bench [-- --quick] [-- --json FILE]`: compares Kiln with a plain container, as ratios. The two sides of a comparison
// take turns, so that a busy machine slows both; the first round warms up and does not count.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startCluster } from '@kiln/testing/cluster';
import { engine } from '@kiln/testing/engine';
import { until } from '@kiln/testing/until';
import { figure, line, median, quantile } from './figures.mjs';
import { connect, requestBytes } from './http-client.mjs';
import { hasWrk, load } from './load.mjs';
import { removePlain, startPlain } from './plain-container.mjs';

const HELLO = join(import.meta.dirname, '..', 'examples', 'hello');
const BARE = join(import.meta.dirname, 'functions', 'bare');
const { values: options } = parseArgs({ options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } } });
const ROUNDS = options.quick ? { warm: 3, load: 2, cold: 5 } : { warm: 8, load: 4, cold: 20 };
const CALLS_A_ROUND = options.quick ? 500 : 2000;
const LOAD_SECONDS = options.quick ? 3 : 6;
const IDLE_MS = options.quick ? 3000 : 10_000;

const versions = await engine.version();
const runtime = versions.Components?.find(({ Name }) => Name === 'runc')?.Version ?? 'unknown';
const about = {
  node: process.version,
  engine: versions.Version,
  runc: runtime,
  kernel: versions.KernelVersion,
  load: hasWrk ? 'wrk' : 'own',
};
console.log(
  Object.entries(about)
    .map(([key, value]) => `${key} ${value}`)
    .join(', '),
);

const figures = [];
function report(...found) {
  for (const one of found) {
    figures.push(one);
    console.log(line(one));
  }
}

const cluster = await startCluster({ nodes: 1 });
try {
  await delay(IDLE_MS);
  report(...idleMemory());
  const hello = await cluster.deploy(HELLO, { name: 'hello' });
  const bare = await cluster.deploy(BARE, { name: 'bare', config: { concurrency: 100, maxInstances: 1 } });
  await cluster.addVersion('cold', hello.image, { idleTimeout: 1 });
  report(await warmCall('bare', bare.image, 'http'));
  report(await warmCall('hello', hello.image, 'runner'));
  report(await throughput());
  report(await coldStart(hello.image));
} finally {
  await removePlain();
  await cluster.stop();
}
if (options.json) writeFileSync(options.json, `${JSON.stringify({ about, figures }, null, 2)}\n`);
process.exitCode = figures.every(({ holds }) => holds) ? 0 : 1;

function idleMemory() {
  const mib = (pid) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
  return [
    figure('router, idle', 'MiB resident', mib(cluster.router.program.pid), { atMost: 150 }),
    figure('agent, idle', 'MiB resident', mib(cluster.agents[0].program.pid), { atMost: 150 }),
  ];
}

/** Compares the whole path with a direct connection to the same server in a plain container, one connection each. */
async function warmCall(name, image, kind) {
  const plain = await startPlain(image, kind);
  const direct = await connect(plain.target, requestBytes(plain.path));
  const whole = await connect({ host: '127.0.0.1', port: cluster.router.ports.data }, requestBytes(`/fn/${name}/`));
  const times = { direct: [], whole: [] };
  const ratios = [];
  for (let i = 0; i <= ROUNDS.warm; i += 1) {
    const round = { direct: await callsOf(direct), whole: await callsOf(whole) };
    if (i === 0) continue;
    times.direct.push(...round.direct);
    times.whole.push(...round.whole);
    ratios.push(median(round.whole) / median(round.direct));
  }
  direct.close();
  whole.close();
  await removePlain();
  return figure(
    `warm call of ${name}, router and agent against direct, 1 connection`,
    'x',
    median(ratios),
    { atMost: 12 },
    { 'whole p50 µs': median(times.whole), 'direct p50 µs': median(times.direct), 'whole p99 µs': quantile(times.whole, 0.99) },
  );
}

async function callsOf(client) {
  const times = [];
  for (let i = 0; i < CALLS_A_ROUND; i += 1) times.push(await client.call());
  return times;
}

async function throughput() {
  const pids = { router: cluster.router.program.pid, agent: cluster.agents[0].program.pid };
  const rates = [];
  const total = { calls: 0, failed: 0, router: 0, agent: 0 };
  for (let i = 0; i <= ROUNDS.load; i += 1) {
    const before = { router: cpuMicros(pids.router), agent: cpuMicros(pids.agent) };
    const found = await load({ port: cluster.router.ports.data, path: '/fn/bare/', connections: 32, seconds: i === 0 ? 2 : LOAD_SECONDS });
    total.failed += found.failed;
    if (i === 0) continue;
    rates.push(found.rate);
    total.calls += found.calls;
    for (const part of ['router', 'agent']) total[part] += cpuMicros(pids[part]) - before[part];
  }
  return figure(
    'throughput, 32 connections, concurrency 100',
    'calls/s',
    total.failed > 0 ? 0 : median(rates),
    { atLeast: 10_000 },
    {
      best: Math.max(...rates),
      failed: total.failed,
      'router CPU µs a call': total.router / total.calls,
      'agent CPU µs a call': total.agent / total.calls,
    },
  );
}

/** Processor time of a process so far. A busy machine changes this figure least. */
function cpuMicros(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Compares the first response of a function without an instance with `docker run -p` of its image, both through the Engine API. */
async function coldStart(image) {
  const times = { kiln: [], plain: [] };
  for (let i = 0; i <= ROUNDS.cold; i += 1) {
    await until('no instance is left', async () => (await cluster.containers('cold')).length === 0);
    const answer = await cluster.call('/fn/cold/');
    if (answer.headers['x-kiln-start'] !== 'cold') throw new Error(`not a cold start: ${answer.status} ${answer.text}`);
    const plain = await startPlain(image, 'runner', { published: true });
    await removePlain();
    if (i === 0) continue;
    times.kiln.push(answer.ms);
    times.plain.push(plain.firstAnswerMs);
  }
  return figure(
    'cold start of hello against docker run -p',
    'x',
    median(times.kiln) / median(times.plain),
    { atMost: 1.2 },
    {
      'kiln p50 ms': median(times.kiln),
      'plain p50 ms': median(times.plain),
      'kiln min ms': Math.min(...times.kiln),
      'plain min ms': Math.min(...times.plain),
    },
  );
}
