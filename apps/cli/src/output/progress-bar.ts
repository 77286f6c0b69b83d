const WIDTH = 24;

interface Step {
  step: string;
  steps: string;
}

/** The progress of all running builds in one line: a bar for one build, numbers for several. */
export class Progress {
  private readonly builds = new Map<string, Step>();

  /** Reads a line of a build's output. True when the line reports a step. */
  see(name: string, line: string): boolean {
    const [, step, steps] = /^Step (\d+)\/(\d+) : /.exec(line) ?? [];
    if (step === undefined || steps === undefined) return false;
    this.builds.set(name, { step, steps });
    return true;
  }

  end(name: string): void {
    this.builds.delete(name);
  }

  /** Empty while no build runs. */
  text(): string {
    const [first, ...others] = this.builds;
    if (first === undefined) return '';
    if (others.length === 0) return bar(...first);
    return [first, ...others].map(([name, { step, steps }]) => `${name} ${step}/${steps}`).join('  ');
  }
}

function bar(name: string, { step, steps }: Step): string {
  // The reported step has only begun.
  const done = Math.min(WIDTH, Math.round(((Number(step) - 1) / Math.max(1, Number(steps))) * WIDTH));
  return `${name} [${'='.repeat(done)}${' '.repeat(WIDTH - done)}] step ${step} of ${steps}`;
}
