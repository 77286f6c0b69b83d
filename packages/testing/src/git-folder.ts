import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const COMMAND_MS = 300_000;
const AUTHOR = { GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@example.com', GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@example.com' };

export interface GitRun {
  code: number;
  /** Both outputs, as a person at a terminal sees them. */
  text: string;
}

/** A working folder with the real git client in it, which knows nothing of the developer's own configuration. */
export class GitFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'kiln-git-'));

  static async init(): Promise<GitFolder> {
    const folder = new GitFolder();
    await folder.git('init', '--quiet', '--initial-branch=main');
    return folder;
  }

  write(files: Record<string, string | Buffer>): void {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.path, path)), { recursive: true });
      writeFileSync(join(this.path, path), content);
    }
  }

  /** Writes, adds and commits; gives the commit. */
  async commit(files: Record<string, string | Buffer>, message = 'change'): Promise<string> {
    this.write(files);
    await this.git('add', '--all');
    await this.git('commit', '--quiet', '--message', message);
    return (await this.git('rev-parse', 'HEAD')).text.trim();
  }

  /** @throws Error with what git said when it fails */
  async git(...args: string[]): Promise<GitRun> {
    const run = await this.run(args);
    if (run.code !== 0) throw new Error(`git ${args.join(' ')}: ${run.text}`);
    return run;
  }

  /** The same, a failure among what may come. Aborting is Ctrl-C at its terminal. */
  run(args: string[], signal?: AbortSignal, onText: (text: string) => void = () => undefined): Promise<GitRun> {
    const child = spawn('git', args, { cwd: this.path, env: this.environment(), stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const interrupt = () => process.kill(-(child.pid as number), 'SIGINT');
    signal?.addEventListener('abort', interrupt);
    const timer = setTimeout(interrupt, COMMAND_MS);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        onText(chunk);
      });
    }
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', interrupt);
        resolve({ code: code ?? -1, text });
      });
    });
  }

  private environment(): NodeJS.ProcessEnv {
    return {
      ...AUTHOR,
      PATH: process.env['PATH'],
      HOME: this.path,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_TERMINAL_PROMPT: '0',
      LC_ALL: 'C',
    };
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
