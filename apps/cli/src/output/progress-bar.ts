const WIDTH = 24;

/** How far a build is, drawn from a line of its output; undefined for lines that say nothing of it. */
export function progressBar(name: string, line: string): string | undefined {
  const [, step, steps] = /^Step (\d+)\/(\d+) : /.exec(line) ?? [];
  if (step === undefined || steps === undefined) return undefined;
  // The step that is told has only begun.
  const done = Math.min(WIDTH, Math.round(((Number(step) - 1) / Math.max(1, Number(steps))) * WIDTH));
  return `${name} [${'='.repeat(done)}${' '.repeat(WIDTH - done)}] step ${step} of ${steps}`;
}
