import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { jsonLinesOf } from '@kiln/engine/json-lines';
import type Dockerode from 'dockerode';
import { NODE_LABEL } from './container-options.js';
import { within } from './deadline.js';

const CONNECT_MS = 10_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;

export interface EventSink {
  /** Its main process ended. */
  died(container: string, code: number): void;
  /** The kernel killed a process in it for lack of memory. */
  outOfMemory(container: string): void;
  /** The stream is open again; events may be missing, so every container must be inspected once. */
  caughtUp(): void;
  /** The stream broke; the agent opens it again. */
  lost(error: Error): void;
}

/** The engine's events about this node's own containers. Opens a lost stream again, and asks for a check of what it missed. */
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
    void this.read(stream);
  }

  close(): void {
    this.closed = true;
    this.stream?.destroy();
  }

  private async read(stream: Readable): Promise<void> {
    let reason = new Error('the engine closed its event stream');
    try {
      for await (const event of jsonLinesOf<EngineEvent>(stream)) this.onEvent(event);
    } catch (error) {
      reason = error as Error;
    }
    if (!this.closed) await this.reopen(reason);
  }

  private onEvent({ Action, Actor: { ID, Attributes } = {} }: EngineEvent): void {
    if (ID === undefined) return;
    if (Action === 'oom') this.sink.outOfMemory(ID);
    else if (Action === 'die') this.sink.died(ID, Number(Attributes?.['exitCode'] ?? 0));
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
        // The engine is still away: one log line is enough.
      }
    }
  }
}

interface EngineEvent {
  Action?: string;
  Actor?: { ID?: string; Attributes?: Record<string, string> };
}
