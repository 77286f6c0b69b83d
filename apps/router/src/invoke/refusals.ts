import { KilnError } from '@kiln/contract/errors';

/** Why no node has taken a request so far, and what its caller is told when none is left. */
export class Refusals {
  private limit: string | undefined;
  private capacity: string | undefined;
  private unreached = 0;
  private broken = 0;
  private others = 0;

  /** @param placement callers may learn which nodes there are, and what they have room for */
  constructor(private readonly placement: boolean) {}

  refused(code: string | undefined, body: Buffer): void {
    const detail = detailOf(body);
    if (code !== 'unavailable') this.others++;
    if (code === 'concurrency_limit') this.limit ??= detail ?? 'the function and its queue are full on every node';
    else this.capacity ??= (this.placement ? detail : undefined) ?? 'no node has room for another instance';
  }

  unreachable(): void {
    this.unreached++;
  }

  /** @returns how many nodes broke under the request */
  broke(): number {
    return ++this.broken;
  }

  /** The nodes take no new work or can't be reached; none said anything of the request itself. */
  get onlyAway(): boolean {
    return this.others + this.broken === 0;
  }

  error(): KilnError {
    if (this.limit !== undefined) return new KilnError('concurrency_limit', this.limit);
    if (this.broken > 0)
      return new KilnError('node_lost', 'the node went away under the request and no other could take it; the function may have run');
    if (this.capacity !== undefined) return new KilnError('no_capacity', this.capacity);
    const which = this.placement ? `none of ${this.unreached} nodes` : 'no node';
    if (this.unreached > 0) return new KilnError('no_capacity', `${which} could be reached`);
    return new KilnError('no_capacity', 'no node is in use', { fix: 'see `kiln nodes ls`' });
  }
}

function detailOf(body: Buffer): string | undefined {
  try {
    const problem = JSON.parse(body.toString()) as { detail?: unknown };
    return typeof problem.detail === 'string' ? problem.detail : undefined;
  } catch {
    // A cut or foreign body says nothing that could be passed on.
    return undefined;
  }
}
