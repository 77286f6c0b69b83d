import { HEALTH_PATH, NODE } from '@kiln/contract/wire/headers';
import { connectTo, isLocalFault, type Upstream } from '@kiln/forward/client/upstream';
import type { Control, Receiver } from '@kiln/forward/client/upstream-port';
import type { ProbeResult } from '../placement/node-health.js';

const LEAVING = 503;
/** Another node answers at this address. */
const MISDIRECTED = 421;
/** A connection's own bound is longer than ours: it passes first only where this process stood still. */
const CONNECT_TIMEOUT = 'ETIMEDOUT';
const MAX_HEADER_BYTES = 16 * 1024;

/** A node's data door as one asks whether it answers: over a connection that no call uses, one question at a time. */
export class NodeDoor {
  /** By `performance.now()`. */
  askedAt = Number.NEGATIVE_INFINITY;
  private readonly upstream: Upstream;
  private question: Question | undefined;
  private ticks = 0;

  constructor(
    private readonly node: string,
    readonly url: string,
    private readonly tell: (node: string, verdict: ProbeResult) => void,
  ) {
    const { hostname, port } = new URL(url);
    const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
    this.upstream = connectTo({ host, port: Number(port), maxHeaderBytes: MAX_HEADER_BYTES });
  }

  get asking(): boolean {
    return this.question !== undefined;
  }

  ask(): void {
    this.askedAt = performance.now();
    this.ticks = 0;
    const question = new Question((verdict) => this.settle(verdict));
    this.question = question;
    // The question carries no secret: an address of before may be somebody else's by now.
    this.upstream.send({ method: 'GET', path: HEALTH_PATH, headers: [NODE, this.node], body: null, headFirst: false }, question);
  }

  /** The node was heard on another connection: it is there. */
  hear(): void {
    this.question?.giveUp('answers');
  }

  /** A tick has passed; a question that is as old as `bound` is answered by silence. */
  tick(bound: number): void {
    if (this.question !== undefined && ++this.ticks > bound) this.question.giveUp('no_answer');
  }

  close(): void {
    this.upstream.destroy();
    this.question?.giveUp('undecided');
  }

  private settle(verdict: ProbeResult): void {
    this.question = undefined;
    this.tell(this.node, verdict);
  }
}

class Question implements Receiver {
  private control: Control | undefined;
  private settled = false;

  constructor(private readonly tell: (verdict: ProbeResult) => void) {}

  giveUp(verdict: ProbeResult): void {
    this.settle(verdict);
    this.control?.abort(new Error('no longer wanted'));
  }

  onStart(control: Control): void {
    this.control = control;
    if (this.settled) control.abort(new Error('no longer wanted'));
  }

  onHead(status: number): void {
    if (status === LEAVING) this.settle('leaving');
    else this.settle(status === MISDIRECTED ? 'no_answer' : 'answers');
  }

  onError(error: NodeJS.ErrnoException): void {
    this.settle(error.code === CONNECT_TIMEOUT || isLocalFault(error) ? 'undecided' : 'no_answer');
  }

  onAnswer(): void {}

  onInformation(): void {}

  onData(): void {}

  onSound(): void {}

  onEnd(): void {}

  private settle(verdict: ProbeResult): void {
    if (this.settled) return;
    this.settled = true;
    this.tell(verdict);
  }
}
