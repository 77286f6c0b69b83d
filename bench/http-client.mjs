// A minimal HTTP/1.1 client that times calls: one connection, a prepared request, responses with a length or in chunks.
import net from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');

export function requestBytes(path, host = 'localhost') {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
}

/** @returns a function that makes one call and returns its time in µs; it rejects on any status but 200 */
export async function connect(target, bytes) {
  const socket = await opened(target);
  let received = Buffer.alloc(0);
  let waiting;
  const settle = (error) => {
    const current = waiting;
    waiting = undefined;
    if (error) current?.reject(error);
    else current?.resolve();
  };
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const end = answerEnd(received);
    if (end === undefined) return;
    const status = received.toString('latin1', 9, 12);
    const text = status === '200' ? '' : received.toString('utf8', 0, 400);
    received = received.subarray(end);
    settle(status === '200' ? undefined : new Error(text));
  });
  socket.on('error', settle);
  socket.on('close', () => settle(new Error('the connection ended')));
  const call = async () => {
    const started = process.hrtime.bigint();
    const done = new Promise((resolve, reject) => {
      waiting = { resolve, reject };
    });
    socket.write(bytes);
    await done;
    return Number(process.hrtime.bigint() - started) / 1000;
  };
  return { call, close: () => socket.destroy() };
}

function opened(target) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ ...target, noDelay: true });
    socket.once('connect', () => {
      socket.removeListener('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/** The end of the first response in the data; undefined while it is incomplete. */
function answerEnd(data) {
  const head = data.indexOf(HEAD_END);
  if (head === -1) return undefined;
  const body = head + HEAD_END.length;
  const length = /\r\ncontent-length: *(\d+)/i.exec(data.toString('latin1', 0, body))?.[1];
  if (length !== undefined) return data.length >= body + Number(length) ? body + Number(length) : undefined;
  const last = data.indexOf(LAST_CHUNK, body);
  return last === -1 ? undefined : last + LAST_CHUNK.length;
}
