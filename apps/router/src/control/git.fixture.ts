import { readdirSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import { GitFolder } from '@kiln/testing/git-folder';
import { extract } from 'tar-stream';
import type { RouterConfig } from '../config.js';
import { ADMIN_KEY, built, type Script, TestCluster } from './cluster.fixture.js';

/** What the node was sent, by the function's name: path to content, an executable's path with a `*`. */
export type Sent = { function: string; files: Record<string, string> };

/** A router whose node keeps what it is sent to build, and git clients. */
export class PushCluster {
  readonly sent: Sent[] = [];
  private readonly folders: GitFolder[] = [];
  private builds = 0;

  private constructor(readonly cluster: TestCluster) {
    this.reset();
  }

  static async start(config: Partial<RouterConfig> = {}): Promise<PushCluster> {
    return new PushCluster(await TestCluster.start(config));
  }

  /** Every build succeeds again, and nothing was sent. */
  reset(): void {
    this.sent.length = 0;
    this.cluster.script = { prove: () => 'ready', build: (request, response) => void this.build(request, response) };
    for (const folder of this.folders.splice(0)) folder.remove();
  }

  /** Builds that only begin; gives what they are. */
  holdBuilds(): Promise<ServerResponse> {
    return new Promise((resolve) => {
      this.cluster.script.build = (request, response) => {
        // As an agent does: an answer that overtakes its upload can be lost with the connection.
        request.resume().once('end', () => {
          response.writeHead(200).write(`${JSON.stringify({ type: 'log', line: 'step 1' })}\n`);
          resolve(response);
        });
      };
    });
  }

  /** Ends a build that was held. */
  finish(response: ServerResponse): void {
    response.end(JSON.stringify(built(`sha256:${++this.builds}`)));
  }

  proves(outcome: ReturnType<Script['prove']>): void {
    this.cluster.script.prove = () => outcome;
  }

  /** Those on the router's disk. */
  repositories(): string[] {
    return readdirSync(join(this.cluster.home, 'git')).filter((name) => name.endsWith('.git'));
  }

  urlOf(project: string, key: string = ADMIN_KEY): string {
    return `http://git:${key}@127.0.0.1:${this.cluster.controlPort}/git/${project}.git`;
  }

  /** A repository with one commit whose remote is the project. */
  async folder(project: string, files: Record<string, string | Buffer>): Promise<GitFolder> {
    const folder = await GitFolder.init();
    this.folders.push(folder);
    await folder.git('remote', 'add', 'kiln', this.urlOf(project));
    await folder.commit(files, 'first');
    return folder;
  }

  async clone(project: string): Promise<GitFolder> {
    const folder = new GitFolder();
    this.folders.push(folder);
    await folder.git('clone', '--quiet', '--origin', 'kiln', this.urlOf(project), '.');
    return folder;
  }

  /** Folders of what git has received and not taken. */
  quarantined(project: string): string[] {
    return readdirSync(join(this.cluster.home, 'git', `${project}.git`, 'objects')).filter((name) => name.startsWith('tmp_objdir'));
  }

  async stop(): Promise<void> {
    this.reset();
    await this.cluster.stop();
  }

  private async build(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = new URL(request.url as string, 'http://agent').searchParams.get('function') as string;
    const files: Record<string, string> = {};
    for await (const entry of request.pipe(createGunzip()).pipe(extract())) {
      const { name: path, mode = 0 } = entry.header;
      files[(mode & 0o111) === 0 ? path : `${path}*`] = await text(entry);
    }
    this.sent.push({ function: name, files });
    response.write(`${JSON.stringify({ type: 'log', line: 'a line of the build' })}\n`);
    this.finish(response);
  }
}
