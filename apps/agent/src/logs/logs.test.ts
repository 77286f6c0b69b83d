import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { LogRecord } from '@kiln/contract/records/records';
import { Demultiplexer } from '@kiln/engine/output-frames';
import { InstanceLog } from '@kiln/instances/logs/instance-log';
import { LineAssembler } from '@kiln/instances/logs/line-assembler';
import { readRunnerLine } from '@kiln/instances/logs/runner-line';
import { TokenBucket } from '@kiln/instances/logs/token-bucket';
import { describe, expect, it, vi } from 'vitest';
import { LogShipper } from './log-shipper.js';

function assemble(...chunks: Buffer[]): [string, boolean][] {
  const lines: [string, boolean][] = [];
  const assembler = new LineAssembler((line, cut) => lines.push([line, cut]) > 0);
  for (const chunk of chunks) assembler.push(chunk);
  assembler.end();
  return lines;
}

describe('lines', () => {
  it('come whole from any chunks, split characters included', () => {
    const bytes = Buffer.from('eins\nzwölf\r\n\nlast');
    const chunks = [...bytes].map((byte) => Buffer.from([byte]));
    expect(assemble(...chunks)).toEqual(['eins', 'zwölf', '', 'last'].map((line) => [line, false]));
  });

  it('that never end are cut, and what is kept of them is bounded', () => {
    const lines = assemble(...Array.from({ length: 1000 }, () => Buffer.alloc(10_000, 'x')), Buffer.from('\nnext\n'));
    expect(lines.map(([line, cut]) => [line.length, cut])).toEqual([
      [16_384, true],
      [4, false],
    ]);
  });
});

describe('lines of the runner', () => {
  it.each([
    ['plain text', 'order failed {"code":"E_STOCK","items":[1,2]} '],
    ['escapes', '\\"\n\u0001'],
    ['characters of several bytes', 'zwölf ☃ 𝄞 '],
  ])('that are too long keep level, request and the beginning of their message: %s', (_what, piece) => {
    const message = piece.repeat(1 + Math.ceil(20_000 / piece.length));
    const line = JSON.stringify({ kiln: 1, level: 'error', requestId: 'a-1', message });
    // Whatever the place of the cut.
    for (let less = 0; less < 12; less++) {
      const cut = Buffer.from(line)
        .subarray(0, 16_384 - less)
        .toString();
      const read = readRunnerLine(cut, true);
      expect(read).toMatchObject({ level: 'error', requestId: 'a-1' });
      const kept = read!.message.replace(/\ufffd+$/, '');
      expect(kept.length).toBeGreaterThan(2000);
      expect(message.startsWith(kept.slice(0, -1))).toBe(true);
    }
  });

  it('carry their level and request', () => {
    expect(readRunnerLine('{"kiln":1,"level":"warn","requestId":"a-1","message":"m"}')).toEqual({
      level: 'warn',
      requestId: 'a-1',
      message: 'm',
    });
  });

  it.each([
    ['{"kiln":1,"level":"loud","message":"m"}'],
    ['{"kiln":1,"level":"info","message":7}'],
    ['{"kiln":1, broken'],
    ['plain'],
    ['{"kiln":2}'],
  ])('%s is a line like any other', (line) => {
    expect(readRunnerLine(line)).toBeUndefined();
  });

  it('cannot smuggle in a request id that is none', () => {
    expect(readRunnerLine('{"kiln":1,"level":"info","requestId":"a\\nb","message":"m"}')).toEqual({ level: 'info', message: 'm' });
  });
});

describe('a token bucket', () => {
  it('allows a burst and then the rate', () => {
    let now = 0;
    const bucket = new TokenBucket(10, 20, () => now);
    expect(Array.from({ length: 25 }, () => bucket.take(1)).filter(Boolean)).toHaveLength(20);
    now = 500;
    expect(Array.from({ length: 25 }, () => bucket.take(1)).filter(Boolean)).toHaveLength(5);
  });
});

describe('an instance’s log', () => {
  function log(requestOfOutput: () => string | undefined = () => undefined) {
    const records: LogRecord[] = [];
    const origin = { function: 'f', version: 2, node: 'n', instance: 'i', requestOfOutput };
    return { records, log: new InstanceLog(origin, (record) => records.push(record)) };
  }

  it('tells stdout from stderr and stamps the request where there is no doubt', () => {
    const { records, log: made } = log(() => 'r-1');
    made.write('stdout', Buffer.from('out\n'));
    made.write('stderr', Buffer.from('err\n'));
    expect(records).toMatchObject([
      { function: 'f', version: 2, node: 'n', instance: 'i', level: 'info', message: 'out', requestId: 'r-1' },
      { level: 'error', message: 'err', requestId: 'r-1' },
    ]);
  });

  it('drops a flood, says how many, and keeps the last lines for errors', () => {
    const { records, log: made } = log();
    for (let i = 0; i < 100; i++) made.write('stdout', Buffer.from('line\n'.repeat(1000)));
    made.end();
    const dropped = Number(/kiln: (\d+) log lines dropped/.exec(records.at(-1)?.message ?? '')?.[1]);
    expect(records.length - 1 + dropped).toBe(100_000);
    expect(records.length).toBeLessThan(3000);
    expect(made.lastLines).toHaveLength(20);
  });
});

describe('what code in a container can make a log hold', () => {
  const origin = { function: 'f', version: 2, node: 'n', instance: 'i', requestOfOutput: () => undefined };

  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');

  /** Bytes that stay after a collection. */
  function growth(action: () => void): number {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    action();
    collect();
    const after = process.memoryUsage();
    return after.heapUsed + after.external - heapUsed - external;
  }

  it('is a line that never ends, byte by byte: no more than the line’s bound', () => {
    const logs = Array.from({ length: 20 }, () => new InstanceLog(origin, () => undefined));
    const byte = Buffer.from('x');
    const grown = growth(() => {
      for (const log of logs) for (let i = 0; i < 20_000; i++) log.write('stderr', byte);
    });
    expect(grown).toBeLessThan(20 * 64 * 1024);
    for (const log of logs) log.end();
    expect(logs[0]!.lastLines[0]?.length).toBeLessThan(1100);
  });

  it('is its last lines, cut where they are long', () => {
    const log = new InstanceLog(origin, () => undefined);
    for (let i = 0; i < 30; i++) log.write('stdout', Buffer.from(`${'y'.repeat(15_000)}\n`));
    expect(log.lastLines).toHaveLength(20);
    expect(log.lastLines.every((line) => line.length === 1000)).toBe(true);
  });

  it('costs next to nothing where it writes empty lines as fast as it can', () => {
    const records: LogRecord[] = [];
    const log = new InstanceLog(origin, (record) => records.push(record));
    const chunk = Buffer.alloc(64 * 1024, '\n');
    log.write('stdout', chunk);
    const { user, system } = process.cpuUsage();
    for (let i = 0; i < 160; i++) log.write(i % 2 === 0 ? 'stdout' : 'stderr', chunk);
    const used = process.cpuUsage();
    // 10 MB of them; one line after another they took over 2 s.
    expect((used.user + used.system - user - system) / 1000).toBeLessThan(300);
    log.end();
    const dropped = Number(/kiln: (\d+) log lines dropped/.exec(records.at(-1)?.message ?? '')?.[1]);
    expect(records.length - 1 + dropped).toBe(161 * chunk.length);
    expect(records.length).toBeLessThan(2500);
  });

  it('is charged by the line that was read, not by the message in it', () => {
    const records: LogRecord[] = [];
    const log = new InstanceLog(origin, (record) => records.push(record));
    const line = Buffer.from(`{"kiln":1,"level":"info","message":"","x":"${'z'.repeat(15_000)}"}\n`);
    for (let i = 0; i < 1000; i++) log.write('stdout', line);
    expect(records.length).toBeLessThan(200);
    log.end();
  });

  it('is nothing at all of a frame that announces more than it brings', () => {
    const got: [string, number][] = [];
    const demultiplexer = new Demultiplexer((source, chunk) => got.push([source, chunk.length]));
    const header = Buffer.from([2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    for (const byte of header) demultiplexer.push(Buffer.from([byte]));
    for (let i = 0; i < 1000; i++) demultiplexer.push(Buffer.alloc(10));
    expect(got).toHaveLength(1000);
    expect(got.every(([source, length]) => source === 'stderr' && length === 10)).toBe(true);
  });
});

describe('the shipper', () => {
  const record = (message: string): LogRecord => ({
    time: '',
    function: 'f',
    version: 1,
    node: 'n',
    instance: 'i',
    level: 'info',
    message,
  });

  it('sends in batches and in order', async () => {
    const batches: number[] = [];
    const shipper = new LogShipper({ append: async (records) => void batches.push(records.length) }, () => undefined);
    for (let i = 0; i < 1500; i++) shipper.add(record(String(i)));
    await vi.waitFor(() => expect(batches).toEqual([1000, 500]));
  });

  it('keeps a bounded number while the store is away, and says what was lost', async () => {
    let away = true;
    let stored = 0;
    const losses: number[] = [];
    const sink = {
      append: async (records: LogRecord[]) => {
        if (away) throw new Error('away');
        stored += records.length;
      },
    };
    const shipper = new LogShipper(sink, (dropped) => losses.push(dropped));
    for (let i = 0; i < 12_000; i++) shipper.add(record('x'));
    await shipper.ship();
    away = false;
    await shipper.ship();
    expect([stored, losses.at(-1)]).toEqual([10_000, 2000]);
    await shipper.close(10);
  });
});
