import net from 'node:net';

/** A door before another port of this machine that counts what goes in. */
export class CountingProxy {
  bytesSent = 0;
  private readonly sockets = new Set<net.Socket>();
  private readonly server: net.Server;

  constructor(port: number) {
    this.server = net.createServer((client) => {
      const upstream = net.connect(port, '127.0.0.1');
      client.on('data', (chunk) => {
        this.bytesSent += chunk.length;
      });
      client.pipe(upstream).pipe(client);
      for (const socket of [client, upstream]) {
        this.sockets.add(socket);
        socket.on('error', () => socket.destroy()).once('close', () => this.sockets.delete(socket));
      }
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as net.AddressInfo).port}`;
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}
