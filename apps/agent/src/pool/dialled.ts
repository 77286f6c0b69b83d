import type net from 'node:net';
import { overSocket, type Upstream } from '@kiln/forward/upstream';
import type { Connection } from './access.js';

/** One connection that an instance opened. Until its first request nothing may be said on it: nobody has asked for anything. */
export class Dialled implements Connection {
  private over: Upstream | undefined;
  private taken = false;

  /**
   * @param back a request on it has ended
   * @param onClose once; `used` is false where it never carried a request
   */
  constructor(
    readonly socket: net.Socket,
    private readonly back: (dialled: Dialled) => void,
    onClose: (dialled: Dialled) => void,
  ) {
    socket.on('error', ignore);
    socket.once('close', () => onClose(this));
    // Not `data`: that would take bytes out of the socket which belong to whoever gets it.
    socket.on('readable', this.onUnasked);
  }

  get used(): boolean {
    return this.taken;
  }

  /** Open, and nothing was said on it that nobody asked for. */
  get sound(): boolean {
    if (this.over !== undefined) return this.over.connected;
    return !this.socket.destroyed && !this.socket.readableEnded && this.socket.readableLength === 0;
  }

  get upstream(): Upstream {
    if (this.over === undefined) {
      this.take();
      this.over = overSocket(this.socket);
    }
    return this.over;
  }

  /** The bare socket, for whoever speaks for itself on it; only of an unused one. */
  take(): net.Socket {
    this.taken = true;
    this.socket.off('readable', this.onUnasked);
    return this.socket;
  }

  giveBack(): void {
    this.back(this);
  }

  drop(): void {
    this.over?.destroy();
    this.socket.destroy();
  }

  private readonly onUnasked = (): void => {
    this.socket.destroy();
  };
}

// What goes wrong on a connection shows in its `close`, and to the request on it.
function ignore(): void {}
