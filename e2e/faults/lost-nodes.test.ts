import { setTimeout as delay } from 'node:timers/promises';
import { ApartNetwork, type Place } from '@kiln/testing/apart';
import { type Answer, call } from '@kiln/testing/call';
import { type Cluster, type Member, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, fixture, nodeOf, times } from '../support/inside.js';

/** The rate of the promise with KILN_E2E_FULL=1; less otherwise, for machines that do other things besides. */
const FULL = process.env['KILN_E2E_FULL'] === '1';
const CALLS_PER_SECOND = FULL ? 200 : 24;
const BEFORE_MS = FULL ? 5000 : 1500;
const AFTER_MS = FULL ? 8000 : 4000;
const TIMEOUT_MS = 10_000;
/** From the event, or from its own begin where that came later. */
const ANSWERED_MS = 3000;
const CODE = 'await new Promise((resolve) => setTimeout(resolve, 50)); return req.query.n ?? "written"';
const names = Array.from({ length: 6 }, (_, i) => `f${i + 1}`);

let network: ApartNetwork;
let cluster: Cluster;

beforeAll(async () => {
  network = new ApartNetwork(3);
  cluster = await startCluster({ nodes: 3, network });
  const config = { memory: 128, concurrency: 20, timeout: TIMEOUT_MS };
  const { image } = await cluster.deploy(fixture('evaluate'), { name: 'f1', config });
  for (const name of names.slice(1)) await cluster.addVersion(name, image, config);
});
afterAll(async () => {
  await cluster?.stop();
  network?.remove();
});

interface Made {
  reads: boolean;
  began: number;
  ended: number;
  answer: Answer | Error;
  expected: string;
}

/** Calls at a steady rate, one in four of them a POST. */
class Load {
  readonly made: Promise<Made>[] = [];
  private over = false;
  private readonly running = this.run();

  async end(): Promise<Made[]> {
    this.over = true;
    await this.running;
    return Promise.all(this.made);
  }

  private async run(): Promise<void> {
    const began = performance.now();
    for (let n = 0; !this.over; n++) {
      this.made.push(make(n));
      await delay(Math.max(0, began + ((n + 1) * 1000) / CALLS_PER_SECOND - performance.now()));
    }
  }
}

async function make(n: number): Promise<Made> {
  const reads = n % 4 !== 0;
  const path = `/fn/${names[n % names.length]}/`;
  const began = performance.now();
  const answer = await (reads
    ? call(cluster.router.ports.data, `${path}?n=${n}&code=${encodeURIComponent(CODE)}`)
    : call(cluster.router.ports.data, path, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: CODE })
  ).catch((error: Error) => error);
  return { reads, began, ended: performance.now(), answer, expected: JSON.stringify(reads ? String(n) : 'written') };
}

/** What the answer took, without, on a machine that does other things besides, the wait for an instance elsewhere. */
function took({ began, ended, answer }: Made, event: number): number {
  const timing = answer instanceof Error || FULL ? '' : String(answer.headers['server-timing']);
  const waited = [...timing.matchAll(/(?:queue|start);dur=([\d.]+)/g)].reduce((sum, [, ms]) => sum + Number(ms), 0);
  return ended - Math.max(began, event) - waited;
}

const isRight = ({ answer, expected }: Made) => !(answer instanceof Error) && answer.status === 200 && answer.text === expected;
const isHonest = ({ answer }: Made) => !(answer instanceof Error) && answer.status === 502 && errorOf(answer) === 'node_lost';
const said = ({ answer }: Made) => (answer instanceof Error ? answer.message : `${answer.status} ${answer.text}`);

const EVENTS: [string, (victim: Member, place: Place) => void, (victim: Member, place: Place) => void][] = [
  ['is frozen', ({ program }) => program.kill('SIGSTOP'), ({ program }) => program.kill('SIGCONT')],
  ['is cut off', (_victim, place) => network.cut(place), (_victim, place) => network.mend(place)],
  [
    'is powered off',
    (victim, place) => {
      network.cut(place);
      void cluster.kill(victim);
    },
    (victim, place) => {
      network.mend(place);
      cluster.restart(victim);
    },
  ],
];

describe('a node under load', () => {
  it.each(EVENTS)(
    'that %s: idempotent calls are answered by others within 3 s, the rest told so, and none hangs',
    async (_what, happens, ends) => {
      await times(names.length * 2, (n) => make(n));
      const id = String(nodeOf(await cluster.call(`/fn/f1/?code=return%201`)));
      const [victim, place] = [cluster.agent(id), network.places[cluster.nodes.indexOf(id)] as Place];
      const load = new Load();
      await delay(BEFORE_MS);
      happens(victim, place);
      const event = performance.now();
      await delay(AFTER_MS);
      const made = await load.end();
      ends(victim, place);
      await until('the node is used again', async () => (await cluster.liveNodes()).includes(id));

      const reading = made.filter(({ reads }) => reads);
      const waits = reading.map((each) => took(each, event));
      const lost = made.filter((each) => !each.reads && !isRight(each));
      console.info(
        `${made.length} calls; slowest idempotent ${Math.max(...waits).toFixed(0)} ms after the event; ${lost.length} others lost, slowest ${Math.max(0, ...lost.map(({ began, ended }) => ended - began)).toFixed(0)} ms`,
      );
      expect(reading.filter((each) => !isRight(each)).map(said)).toEqual([]);
      expect(lost.filter((each) => !isHonest(each)).map(said)).toEqual([]);
      expect(Math.max(...waits)).toBeLessThan(ANSWERED_MS);
      expect(made.filter(({ began, ended }) => ended - began > TIMEOUT_MS + 1000)).toEqual([]);
      expect(made.some(({ answer, ended }) => !(answer instanceof Error) && ended < event && nodeOf(answer) === id)).toBe(true);
      await until('the node is used again', async () => (await cluster.liveNodes()).includes(id));
    },
  );
});
