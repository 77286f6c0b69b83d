import { WAITING } from '@kiln/contract/wire/headers';
import { dial } from '@kiln/forward/client/upstream';
import { type Exchange, type ForwardOptions, forward } from '@kiln/forward/exchange/forward';
import type { RequestBody } from '@kiln/forward/exchange/request-body';
import { spliceUpgrade, type UpgradeHooks, type UpgradingClient } from '@kiln/forward/exchange/upgrade';
import { NODE_HEAD_BYTES } from '@kiln/forward/headers/head-limits';
import type { Members } from '@kiln/forward/members';
import type { Downstream } from '@kiln/forward/server/downstream';
import type { AgentConnections } from './agents.js';
import type { Sender } from './attempt-nodes.js';
import type { Call } from './call.js';

const CONTINUE = 100;
const PROCESSING = 102;

/** Sends an ordinary request. */
export class RequestSender implements Sender, ForwardOptions {
  readonly hearsWaiting = true;

  constructor(
    private readonly call: Call,
    private readonly downstream: Downstream,
    readonly body: RequestBody,
    /** The client waits for leave to send its body. */
    private expectsContinue: boolean,
  ) {}

  send({ upstream }: AgentConnections): Exchange {
    const { record, path, headers } = this.call;
    return forward({ method: record.method, path, headers }, this.downstream, upstream, this);
  }

  canResend(): boolean {
    return this.body.replayable;
  }

  hasWholeBody(): boolean {
    return this.body.whole;
  }

  onHead(status: number, headers: string[]): string[] | undefined {
    return this.call.onHead(status, headers);
  }

  /** The node holds a lease: only now may the client be told to send, and may more be sent than can be sent again. */
  onInformation(status: number): void {
    if (status === WAITING) this.call.waits();
    if (status !== PROCESSING) return;
    this.call.leased();
    this.body.accepted();
    if (!this.expectsContinue) return;
    this.expectsContinue = false;
    this.downstream.inform(CONTINUE);
  }
}

/** Sends a request to switch protocols; `running` holds its exchange as long as it lasts. */
export class UpgradeSender implements Sender, UpgradeHooks {
  readonly hearsWaiting = false;
  readonly maxHeaderBytes = NODE_HEAD_BYTES;

  constructor(
    private readonly call: Call,
    private readonly client: UpgradingClient,
    private readonly running: Members<Exchange>,
  ) {}

  send({ host, port }: AgentConnections): Exchange {
    const { record, path, headers } = this.call;
    const exchange = spliceUpgrade(this.client, { method: record.method, path, headers }, () => dial(host, port), this);
    void exchange.outcome.then(this.running.add(exchange));
    return exchange;
  }

  canResend(): boolean {
    return true;
  }

  hasWholeBody(): boolean {
    return true;
  }

  onHead(status: number, headers: string[]): string[] | undefined {
    return this.call.onHead(status, headers);
  }

  onSwitched(): void {
    this.call.switched();
  }
}
