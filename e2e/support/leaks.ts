import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { engine } from '@kiln/testing/engine';
import { holds } from './traces.js';

const run = promisify(execFile);

export interface LeakReport<T> {
  result: T;
  looks: number;
  /** Where a value was seen. */
  found: string[];
}

/** Looks for values in the arguments of all processes and in all containers but instances, for as long as the work takes. */
export async function watchForLeaks<T>(values: readonly string[], work: Promise<T>): Promise<LeakReport<T>> {
  const found: string[] = [];
  let looks = 0;
  let over = false;
  const watch = async () => {
    while (!over) {
      const { stdout } = await run('ps', ['-e', '-ww', '-o', 'args'], { maxBuffer: 64 * 1024 * 1024 });
      if (holds(stdout, values)) found.push(stdout);
      const containers = await engine.listContainers({ all: true });
      for (const { Id, Labels } of containers.filter(({ Labels }) => Labels['kiln.role'] !== 'instance')) {
        const details = await engine
          .getContainer(Id)
          .inspect()
          .catch(() => undefined);
        if (holds(JSON.stringify(details ?? {}), values)) found.push(`${Id} ${JSON.stringify(Labels)}`);
      }
      looks += 1;
    }
  };
  const watching = watch();
  const result = await work.finally(() => {
    over = true;
  });
  await watching;
  return { result, looks, found };
}

/** Runs a command that reads one line: at once, or when it has asked for it. Gives all that it wrote. */
export function typeInto(command: readonly string[], line: string, options: { env: NodeJS.ProcessEnv; after?: string }): Promise<string> {
  const [program = '', ...args] = command;
  return new Promise<string>((resolve, reject) => {
    const child = spawn(program, args, { env: options.env, stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    const type = () => child.stdin.end(`${line}\n`);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        said += String(chunk);
        // Not before: until it asks, the terminal itself shows what is typed.
        if (options.after !== undefined && said.endsWith(options.after)) type();
      });
    }
    if (options.after === undefined) type();
    child.on('error', reject);
    child.on('close', () => resolve(said));
  });
}
