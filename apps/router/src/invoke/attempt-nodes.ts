import { KilnError } from '@kiln/contract/errors';
import type { Exchange, Outcome } from '@kiln/forward/forward';
import { UnsendableError } from '@kiln/forward/request-head';
import { IDEMPOTENT } from '@kiln/forward/second-chance';
import { chooseNodes } from '../placement/choose-nodes.js';
import type { LiveNode, NodeTable } from '../placement/node-table.js';
import type { Agent, Agents } from './agents.js';
import { type Call, SILENT } from './call.js';
import { Refusals } from './refusals.js';

/** Sends the request to one node. */
export interface Sender {
  send(agent: Agent): Exchange;
  /** All of the body can be sent again. */
  canResend(): boolean;
  /** The whole body is at hand, or there is none. */
  hasWholeBody(): boolean;
}

/** Nodes that may break under one request before it is given up. */
const MAX_BROKEN = 3;

/**
 * Tries nodes in order until one answers. Another is tried when no byte could have been sent, when a node says that nothing was
 * executed, and when a connection broke before any byte of an answer and the request may run twice.
 * @throws KilnError where no node gave an answer
 */
export async function attemptNodes(call: Call, nodes: NodeTable, agents: Agents, sender: Sender): Promise<Outcome> {
  const refusals = new Refusals();
  for (const node of chooseNodes(nodes.preference(call.record.function))) {
    const outcome = await attempt(call, node, nodes, agents, sender);
    switch (outcome.kind) {
      case 'not_sent':
        if (outcome.error instanceof UnsendableError)
          throw new KilnError('bad_request', 'the request cannot be sent on', { cause: outcome.error });
        nodes.suspect(node.id);
        refusals.unreachable();
        break;
      case 'withheld':
        refusals.refused(call.answer?.error, outcome.body);
        break;
      case 'broken':
        // A node that had begun to answer cuts the connection when the function breaks off: no fault of the node.
        if (!outcome.answered) nodes.suspect(node.id);
        if (outcome.responseStarted) return outcome;
        if (outcome.answered || !mayRunTwice(call, sender) || refusals.broke() >= MAX_BROKEN)
          throw stoppedAnswering(node.id, outcome.error);
        break;
      case 'aborted':
        if (outcome.reason !== SILENT || outcome.responseStarted) return outcome;
        nodes.suspect(node.id);
        throw stoppedAnswering(node.id);
      default:
        return outcome;
    }
    if (!sender.canResend()) break;
  }
  throw refusals.error();
}

async function attempt(call: Call, node: LiveNode, nodes: NodeTable, agents: Agents, sender: Sender): Promise<Outcome> {
  const { record } = call;
  record.node = node.id;
  record.attempts++;
  const release = nodes.begin(node.id, call.weight);
  try {
    const exchange = sender.send(agents.of(node));
    call.attempt(silence.bind(exchange));
    return await exchange.outcome;
  } finally {
    call.attempted();
    release();
    const load = call.answer?.load;
    if (load !== undefined) nodes.reportLoad(node.id, load);
  }
}

function silence(this: Exchange, reason: string): void {
  this.abort(reason);
}

function mayRunTwice(call: Call, sender: Sender): boolean {
  return IDEMPOTENT.has(call.record.method) && sender.hasWholeBody();
}

/** The HTTP client would not write the request: that says nothing about the node. */
function stoppedAnswering(node: string, cause?: Error): KilnError {
  return new KilnError('function_crashed', `node ${node} stopped answering; the function may have run`, { cause });
}
