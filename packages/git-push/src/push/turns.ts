import { KilnError } from '@kiln/contract/errors';
import { MAX_WAITING } from '../repository/limits.js';

interface Line {
  waiting: (() => void)[];
}

/** One push after the other for each project, in the order in which they came. */
export class Turns {
  private readonly lines = new Map<string, Line>();

  /**
   * Resolves when it is this push's turn; what it gives ends the turn.
   * @param onWait called at once with how many are before it, if it has to wait
   * @throws KilnError `concurrency_limit` where too many wait already; the signal's reason
   */
  async enter(project: string, signal: AbortSignal, onWait: (before: number) => void): Promise<() => void> {
    signal.throwIfAborted();
    const line = this.lines.get(project);
    if (line === undefined) {
      this.lines.set(project, { waiting: [] });
      return this.leaving(project);
    }
    if (line.waiting.length >= MAX_WAITING) {
      throw new KilnError('concurrency_limit', `${MAX_WAITING} pushes to "${project}" wait already`, {
        fix: 'push again when they are through',
      });
    }
    onWait(line.waiting.length + 1);
    await waitIn(line, signal);
    return this.leaving(project);
  }

  private leaving(project: string): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.lines.get(project)?.waiting.shift();
      if (next === undefined) this.lines.delete(project);
      else next();
    };
  }
}

function waitIn(line: Line, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      line.waiting.splice(line.waiting.indexOf(come), 1);
      reject(signal.reason);
    };
    const come = () => {
      signal.removeEventListener('abort', leave);
      resolve();
    };
    line.waiting.push(come);
    signal.addEventListener('abort', leave, { once: true });
  });
}
