import { once } from 'node:events';
import type { Duplex, Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { isSlice } from '@kiln/engine/cgroup-driver';
import { boundedHost } from '@kiln/engine/container-template';
import { Demultiplexer } from '@kiln/engine/output-frames';
import { discardContainer } from '@kiln/engine/remove';
import type Dockerode from 'dockerode';
import type { BuildLimits } from '../bounds/limits.js';
import { MAX_SECRETS_BYTES, SECRETS_FOLDER } from './secret-mounts.js';

const POLL_MS = 100;
/** For the last output of a process that has ended. */
const LAST_OUTPUT_MS = 1000;
/** Until then the engine may not have noticed that a container's process has ended. */
const NOTICED_MS = 2000;

export interface StepContainerOptions {
  docker: Dockerode;
  image: string;
  labels: Record<string, string>;
  limits: BuildLimits;
  cgroupParent: string;
  network: string | undefined;
  signal: AbortSignal;
}

interface Process {
  command: string[];
  user?: string;
  env?: string[];
  stdin?: Buffer;
  onOutput?(chunk: Buffer): void;
}

/** A container that runs commands within the bounds of a step. The engine removes it when this process closes its connection, or dies. */
export class StepContainer {
  private constructor(
    private readonly container: Dockerode.Container,
    private readonly input: Duplex,
    private readonly signal: AbortSignal,
  ) {}

  static async open(options: StepContainerOptions): Promise<StepContainer> {
    const { docker, signal } = options;
    const container = await docker.createContainer({ ...containerOptions(options), abortSignal: signal });
    try {
      const input = (await container.attach({ stream: true, stdin: true, hijack: true })) as unknown as Duplex;
      input.on('error', () => undefined).resume();
      await container.start({ abortSignal: signal });
      return new StepContainer(container, input, signal);
    } catch (error) {
      await discardContainer(container);
      throw error;
    }
  }

  /** @returns the exit code */
  async run({ command, user, env, stdin, onOutput = () => undefined }: Process): Promise<number> {
    this.signal.throwIfAborted();
    const exec = await this.container.exec({
      Cmd: command,
      AttachStdout: true,
      AttachStderr: true,
      AttachStdin: stdin !== undefined,
      User: user,
      Env: env,
      abortSignal: this.signal,
    });
    const stream = (await exec.start({ hijack: true, stdin: true })) as unknown as Duplex;
    const cancel = () => stream.destroy();
    this.signal.addEventListener('abort', cancel, { once: true });
    try {
      if (stdin !== undefined) stream.end(stdin);
      await Promise.race([readFrames(stream, onOutput), this.ended(exec, stream)]);
      this.signal.throwIfAborted();
      return (await this.whenEnded(exec)) ?? -1;
    } finally {
      this.signal.removeEventListener('abort', cancel);
      stream.destroy();
    }
  }

  /** Makes an image of its files, without those of a tmpfs. @returns the image's id */
  async commit(config: object, comment: string): Promise<string> {
    const { Id } = (await this.container.commit({
      _query: { container: this.container.id, comment },
      _body: config,
      abortSignal: this.signal,
    })) as { Id: string };
    return Id;
  }

  /** Whether it has ended, or the engine says so within 2 s. */
  async hasEnded(): Promise<boolean> {
    const ended = this.container.wait({ abortSignal: AbortSignal.timeout(NOTICED_MS) });
    return await ended.then(() => true).catch((error: { statusCode?: number }) => error.statusCode === 404);
  }

  async close(): Promise<void> {
    this.input.destroy();
    await discardContainer(this.container);
  }

  /** Does not wait for the end of the output: a background process may hold it open for ever. */
  private async ended(exec: Dockerode.Exec, stream: Duplex): Promise<void> {
    await this.whenEnded(exec, stream);
    if (!stream.destroyed && !stream.readableEnded) await Promise.race([once(stream, 'close'), delay(LAST_OUTPUT_MS)]);
  }

  private async whenEnded(exec: Dockerode.Exec, stream?: Duplex): Promise<number | undefined> {
    while (stream?.destroyed !== true) {
      const { Running, ExitCode } = await exec.inspect({ abortSignal: this.signal });
      if (!Running && ExitCode !== null) return ExitCode;
      await delay(POLL_MS, undefined, { signal: this.signal });
    }
    return undefined;
  }
}

function containerOptions({ image, labels, limits, cgroupParent, network }: StepContainerOptions): Dockerode.ContainerCreateOptions {
  return {
    Image: image,
    Entrypoint: ['/bin/sh', '-c', 'exec cat > /dev/null'],
    Cmd: [],
    OpenStdin: true,
    StdinOnce: true,
    Labels: labels,
    HostConfig: {
      AutoRemove: true,
      ...boundedHost(limits, isSlice(cgroupParent)),
      CgroupParent: cgroupParent,
      Tmpfs: { [SECRETS_FOLDER]: `rw,nosuid,nodev,noexec,mode=0755,size=${MAX_SECRETS_BYTES}` },
      LogConfig: { Type: 'none', Config: {} },
      NetworkMode: network,
    },
  };
}

async function readFrames(stream: Readable, onOutput: (chunk: Buffer) => void): Promise<void> {
  const frames = new Demultiplexer((_stream, chunk) => onOutput(chunk));
  for await (const chunk of stream as AsyncIterable<Buffer>) frames.push(chunk);
}
