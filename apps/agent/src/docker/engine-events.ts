import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as delay } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import { NODE_LABEL } from './container-options.js';
import { within } from './deadline.js';

const CONNECT_MS = 10_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;
const MAX_EVENT_CHARS = 256 * 1024;

export interface EventSink {
  /** Its main process ended. */
  died(container: string, code: number): void;
  /** The kernel killed a process in it for lack of memory. */
  outOfMemory(container: string): void;
  /** Events may have been missed until now: look at every container once. */
  caughtUp(): void;
  /** The stream broke; it is being opened again. */
  lost(error: Error): void;
}

/** The engine's events of this node's own containers. A lost stream is opened again, and what was missed is looked up. */
export class EngineEvents {
  private stream: Readable | undefined;
  private closed = false;

  constructor(
    private readonly docker: Dockerode,
    private readonly node: string,
    private readonly sink: EventSink,
  ) {}

  /** Resolves when events flow. @throws where the engine does not answer */
  async open(): Promise<void> {
    const stream = await within('stream its events', CONNECT_MS, async () => {
      const filters = JSON.stringify({ type: ['container'], event: ['die', 'oom'], label: [`${NODE_LABEL}=${this.node}`] });
      return (await this.docker.getEvents({ filters })) as unknown as Readable;
    });
    if (this.closed) {
      stream.destroy();
      return;
    }
    this.stream = stream;
    this.read(stream);
  }

  close(): void {
    this.closed = true;
    this.stream?.destroy();
  }

  private read(stream: Readable): void {
    const decoder = new StringDecoder('utf8');
    let rest = '';
    stream.on('data', (chunk: Buffer) => {
      const lines = (rest + decoder.write(chunk)).split('\n');
      rest = (lines.pop() ?? '').slice(0, MAX_EVENT_CHARS);
      for (const line of lines) this.onLine(line);
    });
    let over = false;
    const onOver = (error?: Error) => {
      if (over) return;
      over = true;
      stream.destroy();
      if (!this.closed) void this.reopen(error ?? new Error('the engine closed its event stream'));
    };
    stream
      .once('error', onOver)
      .once('end', () => onOver())
      .once('close', () => onOver());
  }

  private onLine(line: string): void {
    if (line.trim() === '') return;
    const event = parse(line);
    if (event?.Actor?.ID === undefined) return;
    const { ID, Attributes } = event.Actor;
    if (event.Action === 'oom') this.sink.outOfMemory(ID);
    else if (event.Action === 'die') this.sink.died(ID, Number(Attributes?.['exitCode'] ?? 0));
  }

  private async reopen(error: Error): Promise<void> {
    this.sink.lost(error);
    for (let pause = FIRST_PAUSE_MS; !this.closed; pause = Math.min(LONGEST_PAUSE_MS, pause * 2)) {
      await delay(pause);
      try {
        await this.open();
        if (!this.closed) this.sink.caughtUp();
        return;
      } catch {
        // The engine is still away: what was said once need not be said at every try.
      }
    }
  }
}

interface EngineEvent {
  Action?: string;
  Actor?: { ID?: string; Attributes?: Record<string, string> };
}

function parse(line: string): EngineEvent | undefined {
  try {
    return JSON.parse(line) as EngineEvent;
  } catch {
    return undefined;
  }
}
