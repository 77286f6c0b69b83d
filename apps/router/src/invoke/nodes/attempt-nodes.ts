import { KilnError } from '@kiln/contract/errors';
import { UnsendableError } from '@kiln/forward/client/request-head';
import { IDEMPOTENT } from '@kiln/forward/client/resend-once';
import { isLocalFault } from '@kiln/forward/client/upstream';
import type { Exchange, Outcome } from '@kiln/forward/exchange/forward';
import { chooseNodes } from '../../placement/choose-nodes.js';
import type { LiveNode, NodeTable } from '../../placement/node-table.js';
import type { AgentConnections, Agents } from './agents.js';
import { type Call, LATE, NODE_LOST } from './call.js';
import { Refusals } from './refusals.js';

/** Sends the request to one node. */
export interface Sender {
  /** Passes on what the node says while the request waits. */
  readonly hearsWaiting: boolean;
  send(agent: AgentConnections): Exchange;
  /** All of the body can be sent again. */
  canResend(): boolean;
  /** The whole body is at hand, or there is none. */
  hasWholeBody(): boolean;
}

export interface AttemptParts {
  nodes: NodeTable;
  agents: Agents;
  /** A request met a fault that may be the node's own. */
  doubt(node: string): void;
}

/** Nodes that may break under one request before it is given up. */
const MAX_BROKEN = 3;

/**
 * Tries nodes in order until one answers. Another is tried when no byte was sent, when a node says that nothing was executed, and when
 * a node broke off or was lost before any byte of an answer was passed on and the request may run twice.
 * @throws KilnError where no node gave an answer
 */
export function attemptNodes(call: Call, parts: AttemptParts, sender: Sender): Promise<Outcome> {
  return new Attempts(call, parts, sender).run();
}

class Attempts {
  private readonly refusals: Refusals;
  private tried: Set<string> | undefined;
  private doubted = false;

  constructor(
    private readonly call: Call,
    private readonly parts: AttemptParts,
    private readonly sender: Sender,
  ) {
    this.refusals = new Refusals(call.placement);
  }

  async run(): Promise<Outcome> {
    for (let node = this.next(); node !== undefined; node = this.next(node)) {
      const outcome = await this.attempt(node);
      if (this.isFinal(outcome, node)) return outcome;
      if (!this.sender.canResend()) break;
    }
    throw this.refusals.error();
  }

  /** The next one in order that was not tried; nodes may have been lost since the last choice. */
  private next(last?: LiveNode): LiveNode | undefined {
    const order = chooseNodes(this.parts.nodes.order(this.call.record.function));
    if (last === undefined) return order[0];
    this.tried ??= new Set();
    const tried = this.tried.add(last.id);
    return order.find(({ id }) => !tried.has(id));
  }

  private async attempt(node: LiveNode): Promise<Outcome> {
    const { call } = this;
    const { nodes, agents } = this.parts;
    const { record } = call;
    record.node = node.id;
    record.attempts++;
    const release = nodes.begin(node.id, call.weight);
    const agent = agents.of(node);
    let leave: (() => void) | undefined;
    try {
      const exchange = this.sender.send(agent);
      call.begin(exchange, agent.tellsWaiting && this.sender.hearsWaiting);
      leave = agent.underWay.add(call);
      return await exchange.outcome;
    } finally {
      leave?.();
      release();
      const load = call.answer?.load;
      if (load !== undefined) nodes.reportLoad(node.id, load);
    }
  }

  /** False: another node may be tried. @throws KilnError where none may */
  private isFinal(outcome: Outcome, node: LiveNode): boolean {
    switch (outcome.kind) {
      case 'not_sent':
        if (outcome.error instanceof UnsendableError)
          throw new KilnError('bad_request', 'the request cannot be sent on', { cause: outcome.error });
        this.doubt(node, outcome.error);
        this.refusals.unreachable();
        return false;
      case 'withheld':
        if (this.call.late) throw this.late();
        this.refusals.refused(this.call.answer?.error, outcome.body);
        // One node after the other could keep it waiting for that long each.
        if (this.call.waitedLong()) throw this.refusals.error();
        return false;
      case 'broken':
        // A node that had begun to answer cuts the connection when the function breaks off: no fault of the node.
        if (!outcome.answered) this.doubt(node, outcome.error);
        if (outcome.responseStarted) return true;
        this.mayGoOn(node, !outcome.answered, outcome.error);
        return false;
      case 'aborted':
        if (outcome.responseStarted) return true;
        if (outcome.reason === LATE) throw this.late();
        if (outcome.reason !== NODE_LOST) return true;
        if (outcome.sent) this.mayGoOn(node, true);
        else this.refusals.unreachable();
        return false;
      default:
        return true;
    }
  }

  /** One request asks the door of one node at most, and what is this machine's own fault asks none. */
  private doubt({ id }: LiveNode, error: Error): void {
    if (this.doubted || isLocalFault(error)) return;
    this.doubted = true;
    this.parts.doubt(id);
  }

  /** The node is gone and the request may have run. @throws KilnError where it may not run again */
  private mayGoOn({ id }: LiveNode, unanswered: boolean, cause?: Error): void {
    const { call, sender, refusals } = this;
    call.lost();
    if (unanswered && IDEMPOTENT.has(call.record.method) && sender.hasWholeBody() && refusals.broke() < MAX_BROKEN) return;
    const which = call.placement ? `node ${id}` : 'the node';
    throw new KilnError('node_lost', `${which} went away under the request; the function may have run`, { cause });
  }

  private late(): KilnError {
    const { timeout } = this.call.version.config;
    return new KilnError('function_timeout', `no answer came within the function’s timeout of ${timeout} ms and what its node may add`, {
      fix: 'raise "timeout" in kiln.json if it needs longer',
    });
  }
}
