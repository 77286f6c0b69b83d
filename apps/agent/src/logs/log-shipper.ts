import type { LogRecord } from '@kiln/contract/records/records';
import type { LogStore } from '@kiln/state/logs/log-store';

const EVERY_MS = 200;
const MAX_RECORDS = 10_000;
const MAX_BYTES = 16 * 1024 * 1024;
const BATCH = 1000;

/** Sends log records to the store in batches. While the store is away a bounded buffer fills; then new records are dropped and counted. */
export class LogShipper {
  private buffer: LogRecord[] = [];
  private bytes = 0;
  private shipping = false;
  private timer: NodeJS.Timeout | undefined;
  /** Records that were dropped because the buffer was full. */
  dropped = 0;

  constructor(
    private readonly sink: Pick<LogStore, 'append'>,
    private readonly onLoss: (dropped: number, error: unknown) => void,
  ) {}

  readonly add = (record: LogRecord): void => {
    if (this.buffer.length >= MAX_RECORDS || this.bytes >= MAX_BYTES) {
      this.dropped++;
      return;
    }
    this.buffer.push(record);
    this.bytes += record.message.length;
    this.timer ??= setTimeout(() => void this.ship(), EVERY_MS);
  };

  /** Sends the buffered records. Never rejects. */
  async ship(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.shipping) return;
    this.shipping = true;
    try {
      while (this.buffer.length > 0) await this.shipBatch();
    } catch (error) {
      if (this.dropped > 0) this.onLoss(this.dropped, error);
    } finally {
      this.shipping = false;
      if (this.buffer.length > 0) this.timer ??= setTimeout(() => void this.ship(), EVERY_MS * 5);
    }
  }

  /** Sends the last records within a bound: a shutdown does not wait for a store that is away. */
  async close(timeoutMs: number): Promise<void> {
    const deadline = new Promise<void>((resolve) => setTimeout(resolve, timeoutMs).unref());
    await Promise.race([this.ship(), deadline]);
    clearTimeout(this.timer);
    this.buffer = [];
  }

  private async shipBatch(): Promise<void> {
    const batch = this.buffer.slice(0, BATCH);
    await this.sink.append(batch);
    this.buffer.splice(0, batch.length);
    this.bytes = this.buffer.length === 0 ? 0 : this.bytes - batch.reduce((sum, { message }) => sum + message.length, 0);
    if (this.dropped > 0) this.onLoss(this.dropped, undefined);
    this.dropped = 0;
  }
}
