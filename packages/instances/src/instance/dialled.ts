import type net from 'node:net';
import { CONNECTION } from '@kiln/contract/wire/headers';
import { overSocket, type Upstream } from '@kiln/forward/client/upstream';
import type { Connection, RawConnection } from './access.js';
import type { WorkNotices } from './work-notices.js';

/** One connection that an instance opened. Until its first request nothing may be said on it: nobody has asked for anything. */
export class Dialled implements Connection, RawConnection {
  private over: Upstream | undefined;
  private taken = false;
  private introduced = false;
  private sent = false;

  /**
   * @param number by which the runner names it in its notices
   * @param back a request on it has ended
   */
  constructor(
    readonly socket: net.Socket,
    private readonly number: number,
    private readonly notices: WorkNotices,
    private readonly back: (dialled: Dialled) => void,
  ) {
    socket.on('error', ignore);
    // Not `data`: that would take bytes out of the socket which belong to whoever gets it.
    socket.on('readable', this.onUnasked);
  }

  get used(): boolean {
    return this.taken;
  }

  /** On its first request only: the runner remembers it. */
  introduce(): readonly string[] | undefined {
    if (this.introduced) return undefined;
    this.introduced = true;
    return [CONNECTION, String(this.number)];
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
  take(): RawConnection {
    this.taken = true;
    this.socket.off('readable', this.onUnasked);
    return this;
  }

  workEnded(limitMs: number): Promise<boolean> | undefined {
    const { notices, number, socket } = this;
    // Nothing was sent on it ever, so the runner knows of nothing.
    if (socket.bytesWritten === 0) return Promise.resolve(true);
    if (!notices.connected) return undefined;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        notices.forget(number);
        resolve(false);
      }, limitMs);
      void notices.ended(number).then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  giveBack(): void {
    // What could not be written has introduced nothing.
    if (!this.sent) this.introduced = this.sent = this.socket.bytesWritten > 0;
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
