import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { afterAll, beforeAll, expect, it } from 'vitest';

let cluster: Cluster;
let work: string;

beforeAll(async () => {
  cluster = await startCluster();
  work = mkdtempSync(join(tmpdir(), 'kiln-python-apps-'));
});
afterAll(async () => {
  await cluster?.stop();
  rmSync(work, { recursive: true, force: true });
});

async function deploy(name: string, source: string): Promise<void> {
  const folder = mkdtempSync(join(work, 'app-'));
  writeFileSync(join(folder, 'app.py'), source);
  await cluster.deploy(folder, { name });
}

it('an ASGI application takes WebSockets by path, with the bundled server', async () => {
  await deploy(
    'socket',
    `
async def app(scope, receive, send):
    if scope["type"] != "websocket": raise RuntimeError("no lifespan")
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect": return
        await send({"type": "websocket.send", "text": scope["root_path"] + scope["path"] + " " + message["text"]})
`,
  );
  for (const text of ['first', 'second']) {
    const socket = new WebSocket(`ws://127.0.0.1:${cluster.router.ports.data}/fn/socket/chat`);
    await once(socket, 'open');
    const answered = once(socket, 'message') as Promise<[MessageEvent]>;
    socket.send(text);
    expect((await answered)[0].data).toBe(`/fn/socket/chat ${text}`);
    const closed = once(socket, 'close') as Promise<[CloseEvent]>;
    socket.close(1000);
    expect((await closed)[0].code).toBe(1000);
  }
});

it('a WSGI application has a hundred calls at once in one instance', async () => {
  await deploy(
    'together',
    `
import threading
all_here = threading.Barrier(100)
def app(environ, start_response):
    all_here.wait(30)
    start_response("200 OK", [])
    return [b"together"]
`,
  );
  const answers = await Promise.all(Array.from({ length: 100 }, () => cluster.call('/fn/together/')));
  expect(new Set(answers.map(({ status, text }) => `${status} ${text}`))).toEqual(new Set(['200 together']));
  expect(new Set(answers.map(({ headers }) => headers['x-kiln-instance'])).size).toBe(1);
});
