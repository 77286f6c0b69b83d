import net from 'node:net';

/** `open`, the code of the refusal, or `timeout`, as seen from this machine. */
export function canConnect(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: 2000 });
    const finish = (outcome: string) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.once('connect', () => finish('open'));
    socket.once('timeout', () => finish('timeout'));
    socket.once('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
  });
}

/** Code that tries many addresses from inside a function: `{"host:port": outcome}`. */
export function tryAll(targets: readonly { host: string; port: number }[]): string {
  return `const net = process.getBuiltinModule('node:net');
    const tryOne = ({ host, port }) => new Promise((resolve) => {
      const socket = net.connect({ host, port, timeout: 2500 });
      const finish = (outcome) => { socket.destroy(); resolve([host + ':' + port, outcome]); };
      socket.once('connect', () => finish('open'));
      socket.once('timeout', () => finish('timeout'));
      socket.once('error', (error) => finish(error.code));
    });
    return Object.fromEntries(await Promise.all(${JSON.stringify(targets)}.map(tryOne)));`;
}
