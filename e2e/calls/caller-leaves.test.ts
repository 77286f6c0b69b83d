import { type Answer, open } from '@kiln/testing/call';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture, instanceOf } from '../support/inside.js';

/** Each works for `?ms=`, and answers how many at most worked at a time in its instance, and how many callers it saw leave. */
const COUNTING = 'let active = 0, most = 0, left = 0;';
const NODE = `${COUNTING}
const begin = (res) => {
  most = Math.max(most, ++active);
  console.log('begun');
  res.on('close', () => { if (!res.writableFinished) left++; });
};`;
const PYTHON = 'import asyncio, json, time\nactive = most = left = 0\n';
const FUNCTIONS: Record<string, { files: Record<string, string>; config?: Record<string, unknown> }> = {
  promise: {
    files: {
      'index.js': `${NODE} module.exports = async (req, res) => {
        begin(res);
        await new Promise((resolve) => setTimeout(resolve, Number(req.query.ms)));
        active--;
        res.json({ most, left });
      };`,
    },
  },
  callback: {
    files: {
      'index.js': `${NODE} module.exports = (req, res) => {
        begin(res);
        setTimeout(() => { active--; res.json({ most, left }); }, Number(req.query.ms));
      };`,
    },
  },
  event: {
    files: {
      'handler.py': `${PYTHON}
def handler(event, context):
    global active, most
    active += 1
    most = max(most, active)
    print("begun")
    time.sleep(int(context.query[3:]) / 1000)
    active -= 1
    return {"most": most, "left": 1}
`,
    },
  },
  asgi: {
    files: {
      'main.py': `${PYTHON}
async def watch(receive):
    global left
    while (await receive())["type"] != "http.disconnect":
        pass
    left += 1

async def app(scope, receive, send):
    global active, most
    assert scope["type"] == "http"
    active += 1
    most = max(most, active)
    print("begun")
    watching = asyncio.ensure_future(watch(receive))
    await asyncio.sleep(int(scope["query_string"][3:]) / 1000)
    watching.cancel()
    active -= 1
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps({"most": most, "left": left}).encode()})
`,
      'requirements.txt': '',
    },
    config: { entry: 'main.py', handler: 'app' },
  },
  http: {
    files: {
      Dockerfile: 'FROM node:24-trixie-slim\nCOPY server.js /server.js\nCMD ["node", "/server.js"]\n',
      'server.js': `${NODE} require('node:http').createServer((req, res) => {
        begin(res);
        setTimeout(() => { active--; res.end(JSON.stringify({ most, left: 1 })); }, Number(req.url.split('=')[1]));
      }).listen(process.env.PORT);`,
    },
  },
};

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 });
  for (const [name, { files, config }] of Object.entries(FUNCTIONS)) {
    const own = { memory: 128, concurrency: 1, maxInstances: 1, timeout: 8000, freezeAfter: 0, ...config };
    await cluster.deploy(fixture('bare'), { name, files, config: own });
  }
});
afterAll(() => cluster?.stop());

const call = (name: string, ms: number): Promise<Answer> => cluster.call(`/fn/${name}/?ms=${ms}`);

/** Calls, and leaves once the function is at work. */
async function leave(name: string, ms: number): Promise<void> {
  const before = await begun(name);
  const leaving = new AbortController();
  const left = open(cluster.router.ports.data, `/fn/${name}/?ms=${ms}`, { signal: leaving.signal }).catch(() => undefined);
  await until('it is at work', async () => (await begun(name)) > before);
  leaving.abort();
  await left;
}

async function begun(name: string): Promise<number> {
  const { text } = await cluster.api('GET', `/v1/functions/${name}/logs`);
  return text.split('begun').length;
}

describe('a caller that leaves', () => {
  it.each(Object.keys(FUNCTIONS))('frees no place while the function still works: %s', async (name) => {
    const before = instanceOf(await call(name, 1));
    await leave(name, 3000);
    const next = await call(name, 1);
    expect([next.status, next.text]).toEqual([200, expect.stringMatching(/"most": ?1\b/)]);
    expect(instanceOf(next)).toBe(before);
    // Well before the timeout of the call that was left.
    expect(next.ms).toBeLessThan(6000);
    if (name !== 'callback' && name !== 'promise' && name !== 'asgi') return;
    expect(next.text, 'the function saw that its caller left').toMatch(/"left": ?1\b/);
  });

  it('has the instance replaced where the work does not end within the timeout', async () => {
    const before = instanceOf(await call('promise', 1));
    await leave('promise', 60_000);
    const next = await call('promise', 1);
    expect([next.status, next.json()]).toEqual([200, { most: 1, left: 0 }]);
    expect(instanceOf(next)).not.toBe(before);
    expect(next.ms).toBeLessThan(15_000);
  });

  it('has an instance replaced after 5 s that cannot say when its work ends', async () => {
    const before = instanceOf(await call('http', 1));
    await leave('http', 60_000);
    const next = await call('http', 1);
    expect([next.status, next.json()]).toEqual([200, { most: 1, left: 1 }]);
    expect(instanceOf(next)).not.toBe(before);
    expect(next.ms).toBeGreaterThan(2000);
  });
});
