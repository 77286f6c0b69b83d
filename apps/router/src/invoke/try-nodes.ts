import { KilnError } from '@kiln/contract/errors';
import { IDEMPOTENT, isLocalFault } from '@kiln/forward/client/upstream';
import { type Outcome, SLOW_BODY } from '@kiln/forward/exchange/forward';
import { UnsendableError } from '@kiln/forward/headers/headers';
import type { NodeEntry } from '../placement/node.js';
import { chooseNodes, type NodeTable } from '../placement/node-table.js';
import { tooLarge } from './admission.js';
import type { Invocation, InvocationEnd } from './invocation.js';
import { Refusals } from './refusals.js';
import { RefusedAtDoor } from './request-head.js';

/** Why an exchange is ended: its node does not answer at its door. */
export const NODE_LOST = 'the node went away';
/** Why an exchange is ended: its time has run out by the router's own clock. */
export const LATE = 'no answer came in time';

export interface TryParts {
  nodes: NodeTable;
  /** A request met a fault that may be the node's own. */
  doubt(node: string): void;
  /** Reads the nodes anew: another may have come a moment ago. Bounded; never rejects. */
  refreshNodes(): Promise<void>;
}

/** Nodes that may break under one request before it is given up. */
const MAX_BROKEN = 3;

/**
 * Sends a request to a node, and to others in order until one answers. Another is tried when no byte was sent, when a node says that
 * nothing was executed, and when a node broke off or was lost before any byte of an answer was passed on and the request may run twice.
 * @throws KilnError where the caller has not had an answer yet
 */
export async function tryNodes(call: Invocation, parts: TryParts): Promise<InvocationEnd> {
  let tries: Tries | undefined;
  let node = inOrder(call, parts)[0] ?? (await new Tries(call, parts).lastResort());
  while (node !== undefined) {
    const claim = node.claim(call);
    let outcome: Outcome;
    try {
      outcome = await call.send(claim.connections).outcome;
    } finally {
      claim.giveBack(call.answer?.load);
    }
    if (outcome.kind === 'relayed') return outcome.status === 101 ? 'switched' : 'answered';
    tries ??= new Tries(call, parts);
    const end = tries.endOf(outcome, node);
    if (end !== undefined) return end;
    node = call.body.replayable ? (tries.next(node) ?? (await tries.lastResort())) : undefined;
  }
  throw (tries?.refusals ?? new Refusals(call.placement)).error();
}

function inOrder(call: Invocation, { nodes }: TryParts): readonly NodeEntry[] {
  return chooseNodes(nodes.order(call.address.name));
}

/** What came of the tries so far. */
class Tries {
  readonly refusals: Refusals;
  private readonly tried = new Set<string>();
  private doubted = false;

  constructor(
    private readonly call: Invocation,
    private readonly parts: TryParts,
  ) {
    this.refusals = new Refusals(call.placement);
  }

  /** The next one in order that was not tried; nodes may have been lost since the last choice. */
  next(last: NodeEntry): NodeEntry | undefined {
    const tried = this.tried.add(last.id);
    return inOrder(this.call, this.parts).find(({ id }) => !tried.has(id));
  }

  /**
   * If all nodes that were tried are draining or can't be reached: a node that has come since the nodes were read, or one whose door did
   * not answer. During an upgrade a node may drain before this router knows that the one before it is back.
   */
  async lastResort(): Promise<NodeEntry | undefined> {
    if (!this.refusals.onlyAway) return undefined;
    await this.parts.refreshNodes();
    const { nodes } = this.parts;
    return [...nodes.order(this.call.address.name), ...nodes.lost()].find(({ id }) => !this.tried.has(id));
  }

  /** Undefined: another node may be tried. @throws KilnError where none may, and the caller has not had an answer yet */
  endOf(outcome: Exclude<Outcome, { kind: 'relayed' }>, node: NodeEntry): InvocationEnd | undefined {
    switch (outcome.kind) {
      case 'client_gone':
        return 'client_gone';
      case 'body_too_large':
        if (outcome.responseStarted) return 'cut';
        throw tooLarge(this.call.version.config);
      case 'not_sent':
        if (outcome.error instanceof UnsendableError)
          throw new KilnError('bad_request', 'the request cannot be sent on', { cause: outcome.error });
        this.doubt(node, outcome.error);
        this.refusals.unreachable();
        return undefined;
      case 'withheld':
        return this.refused(outcome.body);
      case 'broken':
        // A node that had begun to answer cuts the connection when the function breaks off: no fault of the node.
        if (!outcome.answered) this.doubt(node, outcome.error);
        if (outcome.responseStarted) return 'cut';
        return this.mayGoOn(node, !outcome.answered, outcome.error);
      case 'aborted':
        return outcome.responseStarted ? 'cut' : this.aborted(node, outcome.reason, outcome.sent);
    }
  }

  private refused(body: Buffer): undefined {
    const { call, refusals } = this;
    if (call.late) throw this.late();
    refusals.refused(call.answer?.error, body);
    // One node after the other could keep it waiting for that long each.
    if (call.waitedLong()) throw refusals.error();
  }

  private aborted(node: NodeEntry, reason: string, sent: boolean): undefined {
    if (reason === LATE) throw this.late();
    if (reason === SLOW_BODY) throw new RefusedAtDoor(408, reason);
    if (reason !== NODE_LOST) throw new KilnError('unavailable', `the request was given up: ${reason}`);
    if (sent) return this.mayGoOn(node, true);
    this.refusals.unreachable();
  }

  /** One request asks the door of one node at most, and what is this machine's own fault asks none. */
  private doubt({ id }: NodeEntry, error: Error): void {
    if (this.doubted || isLocalFault(error)) return;
    this.doubted = true;
    this.parts.doubt(id);
  }

  /** The node is gone and the request may have run. @throws KilnError where it may not run again */
  private mayGoOn({ id }: NodeEntry, unanswered: boolean, cause?: Error): undefined {
    const { call, refusals } = this;
    call.lost();
    if (unanswered && IDEMPOTENT.has(call.method) && call.body.whole && refusals.broke() < MAX_BROKEN) return;
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
