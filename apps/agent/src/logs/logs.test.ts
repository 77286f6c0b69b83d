import type { LogRecord } from '@kiln/contract/records';
import { describe, expect, it, vi } from 'vitest';
import { InstanceLog } from './instance-log.js';
import { LineAssembler } from './line-assembler.js';
import { LogShipper } from './log-shipper.js';
import { readRunnerLine } from './runner-line.js';
import { TokenBucket } from './token-bucket.js';

function assemble(...chunks: Buffer[]): [string, boolean][] {
  const lines: [string, boolean][] = [];
  const assembler = new LineAssembler((line, cut) => lines.push([line, cut]));
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
      [8192, true],
      [4, false],
    ]);
  });
});

describe('lines of the runner', () => {
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
