const WIDTH = 24;

type Step = { step: number; steps: number };

/** The progress of all running builds in one line: a bar for one build, numbers for several. */
export class Progress {
  private readonly builds = new Map<string, Step>();

  /** Reads a line of a build's output. True when the line reports a step. */
  see(name: string, line: string): boolean {
    const [found, step, steps] = /^Step (\d+)\/(\d+) : /.exec(line) ?? [];
    if (found !== undefined) this.builds.set(name, { step: Number(step), steps: Number(steps) });
    return found !== undefined;
  }

  end(name: string): void {
    this.builds.delete(name);
  }

  /** Empty while no build runs. */
  text(): string {
    return Array.from(this.builds, this.builds.size === 1 ? bar : numbers).join('  ');
  }
}

function numbers([name, { step, steps }]: readonly [string, Step]): string {
  return `${name} ${step}/${steps}`;
}

function bar([name, { step, steps }]: readonly [string, Step]): string {
  // The reported step has only begun.
  const done = Math.min(WIDTH, Math.round(((step - 1) / Math.max(1, steps)) * WIDTH));
  return `${name} [${'='.repeat(done)}${' '.repeat(WIDTH - done)}] step ${step} of ${steps}`;
}
