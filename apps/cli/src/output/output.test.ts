import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { neutralise, neutralisedStream, neutraliseJson } from './neutralise.js';
import { shellWord } from './shell-word.js';
import { render, widthOf } from './style.js';
import { pairs, table } from './table.js';
import { age, duration, megabytes, parseDuration, shortDigest } from './units.js';

describe('neutralise', () => {
  it.each([
    ['\u001b[31mred\u001b[0m', '\\x1b[31mred\\x1b[0m'],
    ['\u001b]0;title\u0007', '\\x1b]0;title\\x07'],
    ['\u009b2J', '\\x9b2J'],
    ['safe\rEVIL', 'safe\\x0dEVIL'],
    ['a\bb', 'a\\x08b'],
    ['\u202eoof', '\\u202eoof'],
    ['tab\tand\r\nline ends\n', 'tab\tand\nline ends\n'],
    ['Grüße, 日本, 🎉', 'Grüße, 日本, 🎉'],
  ])('shows %j as it is written', (hostile, shown) => {
    expect(neutralise(hostile)).toBe(shown);
  });

  it('leaves JSON the same JSON', () => {
    const value = { message: 'a\u001b[2J\u009b\u202e\u007f\nb' };
    const json = neutraliseJson(JSON.stringify(value));
    expect(JSON.parse(json)).toEqual(value);
    expect(neutralise(json)).toBe(json);
  });

  it('works on a stream that is cut anywhere', async () => {
    const bytes = Buffer.from('ä\u001b[1m€');
    const cut = Readable.from(Array.from(bytes, (byte) => Buffer.from([byte])));
    expect(await text(cut.pipe(neutralisedStream()))).toBe('ä\\x1b[1m€');
  });
});

describe('shellWord', () => {
  it.each([
    ['my-function', 'my-function'],
    ['./a b', "'./a b'"],
    ["it's", `'it'\\''s'`],
    ['$(x)', "'$(x)'"],
    ['-rf', './-rf'],
    ['', "''"],
  ])('shows %j as it has to stand in a shell', (text, word) => {
    expect(shellWord(text)).toBe(word);
  });
});

describe('table', () => {
  it('lines up its columns and shows what is absent as a dash', () => {
    const lines = table(
      ['name', 'n'],
      [
        ['hello', 1],
        ['x', undefined],
      ],
    ).split('\n');
    expect(lines).toEqual(['NAME   N', 'hello  1', 'x      -']);
  });

  it('breaks texts between words where it is wider than the terminal', () => {
    const rows = [
      ['v1', 'faster search and a smaller index', 'ready'],
      ['v2', 'short', 'ready'],
    ];
    expect(table(['version', 'message', 'state'], rows, 40).split('\n')).toEqual([
      'VERSION  MESSAGE                   STATE',
      'v1       faster search and a       ready',
      '         smaller index',
      'v2       short                     ready',
    ]);
  });

  it('shows each row by itself where no breaking makes it fit, and breaks no word', () => {
    const url = 'http://localhost:18480/fn/a-function-of-some-length/';
    const text = table(['function', 'traffic', 'home', 'changed', 'url'], [['a-function-of-some-length', 'v1', undefined, '3m', url]], 60);
    expect(render(text, false).split('\n')).toEqual(['a-function-of-some-length', '  traffic: v1', '  changed: 3m', `  url:     ${url}`]);
  });

  it.each([60, 80, 120])('is never wider than %i columns but for a word that is', (columns) => {
    const rows = Array.from({ length: 20 }, (_, i) => [`f${i}`, 'word '.repeat(i), i, 'a-b-c '.repeat(i % 5)]);
    for (const line of table(['name', 'text', 'n', 'more'], rows, columns).split('\n')) expect(widthOf(line)).toBeLessThanOrEqual(columns);
  });

  it('lets no cell steer the terminal', () => {
    expect(table(['name'], [['\u001b[2J']])).toBe('NAME\n\\x1b[2J');
    expect(pairs([['url', '\u001b[2J']])).toBe('url: \\x1b[2J');
  });
});

describe('units', () => {
  it.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['10', undefined],
    ['m', undefined],
    ['-1m', undefined],
    ['1.5h', undefined],
  ])('reads %s', (given, ms) => {
    expect(parseDuration(given)).toBe(ms);
  });

  it('shows times and sizes in units that fit', () => {
    expect([duration(42), duration(12_345), duration(600_000), duration(undefined)]).toEqual(['42 ms', '12.3 s', '10 min', undefined]);
    expect([age('2030-01-01T00:00:00Z', Date.parse('2030-01-01T00:03:00Z')), megabytes(512), megabytes(20_480)]).toEqual([
      '3m',
      '512 MB',
      '20.0 GB',
    ]);
    expect(shortDigest(`sha256:${'a'.repeat(64)}`)).toBe('a'.repeat(12));
  });
});
