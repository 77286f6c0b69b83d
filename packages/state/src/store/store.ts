import { KilnError } from '@kiln/contract/errors';
import { type ChainableCommander, Redis, type RedisOptions } from 'ioredis';
import { connectionOptions } from './connection-options.js';
import { DesiredState } from './desired-state.js';
import { type StoreTrouble, troubleOf } from './trouble.js';
import { refusalIn, refusedWrite, WriteWatch } from './write-watch.js';

const COMMAND_TIMEOUT_MS = 1000;
const CONNECT_TIMEOUT_MS = 2000;
const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 1000;

export interface StoreOptions {
  /** Called for the first error of an outage, and for records that can't be read. A failed command rejects instead. */
  onError(error: Error): void;
  /** Called when a store that answers gets a fault, and with undefined when the fault has ended. */
  onTrouble?(trouble: StoreTrouble | undefined): void;
}

/** Connects in the background, and reconnects until it is closed. */
export function connectStore(url: string, options: StoreOptions): Store {
  return new Store(url, options);
}

/** One connection to Redis. A command answers within about a second or throws `unavailable`. None is sent twice or waits for a connection. */
export class Store {
  /** Counts the connections. Data that was read through an earlier connection may come from another server. */
  connections = 0;
  readonly desired: DesiredState;
  readonly writes: WriteWatch;
  private readonly redis: Redis;
  private reported = false;

  constructor(
    url: string,
    private readonly options: StoreOptions,
  ) {
    this.redis = new Redis({ ...connectionOptions(url), ...BEHAVIOUR });
    this.redis.on('ready', () => {
      this.reported = false;
      this.connections += 1;
    });
    this.redis.on('error', (error) => this.reportOnce(error));
    const say = () => options.onTrouble?.(this.trouble);
    this.desired = new DesiredState(this, say);
    this.writes = new WriteWatch(this, say);
  }

  /** The fault of a store that answers; undefined if it has none. */
  get trouble(): StoreTrouble | undefined {
    return troubleOf(this.desired.loss, this.writes.refusal);
  }

  /** True while there is a connection. Without one each command fails at once. */
  get ready(): boolean {
    return this.redis.status === 'ready';
  }

  /** Waits for the connection; false if there is none after `timeoutMs`. */
  whenReady(timeoutMs: number): Promise<boolean> {
    if (this.ready) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (ready: boolean) => {
        clearTimeout(timer);
        this.redis.off('ready', onReady);
        resolve(ready);
      };
      const onReady = () => settle(true);
      const timer = setTimeout(() => settle(false), timeoutMs);
      this.redis.on('ready', onReady);
    });
  }

  /** @throws KilnError `unavailable` if the store does not answer or refuses writes; any other error is a bug of Kiln. */
  async run<T>(work: (redis: Redis) => Promise<T>, boundMs = COMMAND_TIMEOUT_MS): Promise<T> {
    try {
      return await inTime(work(this.redis), boundMs);
    } catch (error) {
      const refusal = refusalIn(error);
      if (refusal === undefined) throw translated(error);
      this.writes.refused(refusal);
      throw refusedWrite(refusal, error);
    }
  }

  /** Several commands in one write. @throws as `run` */
  pipeline(fill: (pipeline: ChainableCommander) => void): Promise<unknown[]> {
    return this.run((redis) => together(redis.pipeline(), fill));
  }

  /** Several commands in one step. @throws as `run` */
  transaction(fill: (pipeline: ChainableCommander) => void, boundMs?: number): Promise<unknown[]> {
    return this.run((redis) => together(redis.multi(), fill), boundMs);
  }

  /** Reports an error that stops no caller. */
  report(error: Error): void {
    this.options.onError(error);
  }

  async close(): Promise<void> {
    this.writes.stop();
    // `quit()` would wait for a server that may not answer. Each caller awaits its own command.
    this.redis.disconnect();
  }

  private reportOnce(error: Error): void {
    if (this.reported) return;
    this.reported = true;
    this.options.onError(error);
  }
}

/** What the store answers; undefined while it is away. */
export function ifThere<T>(reply: Promise<T>): Promise<T | undefined> {
  return reply.catch((error: unknown) => {
    if (error instanceof KilnError && error.code === 'unavailable') return undefined;
    throw error;
  });
}

const BEHAVIOUR: RedisOptions = {
  enableOfflineQueue: false,
  // Redis may have executed a command before the connection broke. The caller decides if it sends it again, not the library.
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  connectTimeout: CONNECT_TIMEOUT_MS,
  retryStrategy: (times) => Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(times, 10)) * (0.5 + Math.random() / 2),
  connectionName: 'kiln',
};

/** Errors of a server that can't answer now: it loads its data, runs a script, or does not accept the password. */
const NOT_NOW = /^(LOADING|MASTERDOWN|BUSY|EXECABORT|NOAUTH|WRONGPASS|NOPERM|TRYAGAIN|CLUSTERDOWN)\b/;
const FROM_SERVER = 'ReplyError';

async function together(pipeline: ChainableCommander, fill: (pipeline: ChainableCommander) => void): Promise<unknown[]> {
  fill(pipeline);
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, reply]) => {
    if (error !== null) throw error;
    return reply;
  });
}

/** After a pause of the process the replies may wait in the socket: `setImmediate` reads them before the command counts as late. */
function inTime<T>(reply: Promise<T>, boundMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new Error(`the store has not answered within ${boundMs} ms`));
    const timer = setTimeout(() => setImmediate(late), boundMs);
    reply.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function translated(error: unknown): unknown {
  if (error instanceof KilnError || !(error instanceof Error)) return error;
  if (error.name === FROM_SERVER && !NOT_NOW.test(error.message)) return error;
  // A bug of our own code is no outage.
  if (error instanceof TypeError || error instanceof SyntaxError || error instanceof RangeError) return error;
  return new KilnError('unavailable', 'the store does not answer', {
    fix: 'try again; if it stays so, see that Redis runs and that KILN_REDIS_URL is right',
    cause: error,
  });
}
