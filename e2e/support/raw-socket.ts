import net from 'node:net';

export interface RawAnswer {
  /** 0 where nothing but the end of the connection came. */
  status: number;
  text: string;
}

/** Sends bytes as they are on a connection of their own, and gives what came back until the other side ended it. */
export function sendRaw(port: number, bytes: string | Buffer, boundMs = 20_000): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1', () => socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes));
    const finish = () => {
      socket.destroy();
      resolve({ status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0), text });
    };
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('end', finish);
    // A side that refuses while bytes still come in may reset the connection after its answer.
    socket.on('error', finish);
    socket.setTimeout(boundMs, () => {
      socket.destroy();
      reject(new Error(`the connection stays open after ${JSON.stringify(text.slice(0, 200))}`));
    });
  });
}
