import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connectTo, dial, type Upstream } from '@kiln/forward/client/upstream';
import { Members } from '@kiln/forward/members';
import type { Access, Connection, RawConnection, WorkTracker } from './access.js';

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 50;
const PROBE_MS = 1000;
/** Below the 5 s after which many servers close an idle connection: the client side must be the one that closes. */
const IDLE_MS = 4000;

const UNKNOWN_WORK: WorkTracker = { introduce: () => undefined, workEnded: () => undefined };

/** Instances of any HTTP image: reached by container address. Ready when they first accept a connection. */
export class HttpAccess implements Access {
  readonly saysWorkEnds = false;
  private readonly upstream: Upstream;
  private readonly raw = new Members<net.Socket>();
  private readonly connection: Connection;
  private destroyed = false;

  constructor(
    private readonly host: string,
    private readonly port: number,
  ) {
    this.upstream = connectTo({ host, port, idleTimeout: IDLE_MS });
    // The pool of the upstream keeps its connections.
    this.connection = { upstream: this.upstream, giveBack: () => undefined, ...UNKNOWN_WORK };
  }

  async ready(): Promise<void> {
    for (let pause = FIRST_PAUSE_MS; !(await accepts(this.host, this.port)); pause = Math.min(LONGEST_PAUSE_MS, pause * 1.5)) {
      await delay(pause);
      if (this.destroyed) throw new Error('the instance is gone');
    }
  }

  take(): Connection {
    return this.connection;
  }

  async takeSocket(): Promise<RawConnection> {
    const socket = dial(this.host, this.port);
    socket.once('close', this.raw.add(socket));
    return { socket, ...UNKNOWN_WORK };
  }

  destroy(): void {
    this.destroyed = true;
    this.upstream.destroy();
    for (const socket of this.raw) socket.destroy();
  }
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: PROBE_MS });
    const finish = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => finish(true));
    socket.once('timeout', () => finish(false));
    socket.once('error', () => finish(false));
  });
}
