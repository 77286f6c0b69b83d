import { describe, expect, it } from 'vitest';
import { jsonLinesOf, linesOf } from './json-lines.js';

async function* chunks(...parts: (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield Buffer.from(part);
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}

describe('linesOf', () => {
  it('puts lines and characters together that a chunk’s end cut in two', async () => {
    const text = Buffer.from('ä€\nb');
    expect(await all(linesOf(chunks(text.subarray(0, 1), text.subarray(1, 3), text.subarray(3)), 100))).toEqual(['ä€', 'b']);
  });

  it('never holds more than its bound of a line without end', async () => {
    expect(await all(linesOf(chunks('x'.repeat(50), 'y'.repeat(50), '\nz'), 60))).toEqual([`${'x'.repeat(50)}${'y'.repeat(10)}`, 'z']);
  });
});

describe('jsonLinesOf', () => {
  it('gives every object, and leaves out what is none', async () => {
    expect(await all(jsonLinesOf(chunks('{"stream":"a"}\r\nnot json\n7\n{"error":', '"b"}\n')))).toEqual([{ stream: 'a' }, { error: 'b' }]);
  });
});
