import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { KilnError } from '@kiln/contract/errors';
import type { RequestBody } from '@kiln/forward/body/request-body';
import { dial } from '@kiln/forward/client/upstream';
import type { Exchange } from '@kiln/forward/exchange/forward';
import { spliceUpgrade, type UpgradingClient } from '@kiln/forward/exchange/upgrade';
import type { Members } from '@kiln/forward/members';
import { NO_BODY } from '@kiln/forward/server/http-server';
import { problemMessage } from '@kiln/forward/server/problem';
import type { NodeConnections } from '../placement/node.js';
import type { Caller, CallerRefusal, Invocation, InvocationEnd } from './invocation.js';

/** A request to switch protocols; `running` holds its exchange as long as it lasts. */
export class UpgradeCaller implements Caller, UpgradingClient {
  readonly switches = true;
  readonly expectsContinue = false;

  constructor(
    readonly request: IncomingMessage,
    readonly socket: Socket,
    public head: Buffer,
    private readonly running: Members<Exchange>,
  ) {
    // Nobody else hears of its end yet.
    socket.on('error', () => socket.destroy());
  }

  get response(): never {
    throw new KilnError('not_found', 'nothing here switches protocols');
  }

  read(): RequestBody {
    return NO_BODY;
  }

  mayContinue(): void {}

  send(call: Invocation, { host, port }: NodeConnections): Exchange {
    const exchange = spliceUpgrade(this, call, () => dial(host, port), call);
    void exchange.outcome.then(this.running.add(exchange));
    return exchange;
  }

  discard(): void {}

  refuse({ error, requestId, lines, status }: CallerRefusal): InvocationEnd {
    const { socket } = this;
    if (socket.writable) socket.write(problemMessage(error, requestId, lines, status));
    socket.destroySoon();
    return 'refused';
  }
}
