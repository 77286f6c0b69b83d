import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { KilnError } from '@kiln/contract/errors';
import type { Exchange, Outcome } from '@kiln/forward/exchange/forward';
import { spliceUpgrade, type UpgradingClient } from '@kiln/forward/exchange/upgrade';
import type { Members } from '@kiln/forward/members';
import { problemMessage } from '@kiln/forward/server/problem';
import type { RawConnection } from '../instance/access.js';
import type { Lease } from '../instance/instance.js';
import { type AnswerSide, introduced, type Served, type ServedCall, type TimeLimit } from './serve.js';

/** A request that asks to switch protocols. The lease lasts as long as the connection; `timeout` bounds the handshake. */
export class ServedUpgrade implements Served {
  readonly replayable = true;
  readonly downstream: AnswerSide;
  connection: RawConnection | undefined;

  /** @param running holds its exchange as long as it lasts */
  constructor(
    readonly call: ServedCall,
    private readonly client: UpgradingClient,
    private readonly running: Members<Exchange>,
  ) {
    this.downstream = new SocketSide(client.socket as Socket);
  }

  async attempt(lease: Lease, limit: TimeLimit): Promise<Outcome | Error> {
    const { call, client } = this;
    const { access } = lease.instance;
    if (access === undefined) return new Error('the instance is gone');
    const connect = async () => {
      this.connection = await access.takeSocket();
      sent.headers = introduced(call, this.connection);
      return this.connection.socket;
    };
    const sent = { method: call.method, path: call.path, headers: call.headers };
    const exchange = spliceUpgrade(client, sent, connect, {
      onHead: (status, answered) => call.answerLines(lease, status, answered),
      onSwitched: () => limit.clear(),
    });
    limit.exchange = exchange;
    const leave = this.running.add(exchange);
    const outcome = await exchange.outcome;
    leave();
    return outcome.kind === 'not_sent' ? outcome.error : outcome;
  }

  discard(): void {
    // What comes on the socket belongs to the exchange.
  }
}

/** The bare socket of a client that has no answer yet. */
export class SocketSide implements AnswerSide {
  readonly started = false;

  constructor(private readonly socket: Duplex & Partial<Pick<Socket, 'bytesWritten'>>) {}

  get gone(): boolean {
    return this.socket.destroyed;
  }

  get heldBack(): boolean {
    return this.socket.writableNeedDrain;
  }

  get bytesTaken(): number {
    return this.socket.bytesWritten ?? 0;
  }

  onGone(listener: () => void): void {
    this.socket.on('close', listener);
  }

  offGone(listener: () => void): void {
    this.socket.off('close', listener);
  }

  destroy(): void {
    this.socket.destroy();
  }

  fail(error: KilnError, requestId: string, lines: string[] = []): void {
    if (!this.gone) this.socket.end(problemMessage(error, requestId, lines));
  }
}
