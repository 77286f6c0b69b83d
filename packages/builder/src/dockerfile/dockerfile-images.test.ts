import { describe, expect, it } from 'vitest';
import { imagesOf } from './dockerfile-images.js';

describe('imagesOf', () => {
  it('names images, not stages or scratch', () => {
    const text =
      'FROM --platform=linux/amd64 golang:1.24 AS Build\nFROM build\nCOPY --from=0 a b\nCOPY --chown=1 --from=build a b\nfrom scratch\nFROM debian:trixie-slim\nCOPY --from=redis:8 a b\n';
    expect(imagesOf(text, {})).toEqual(['golang:1.24', 'debian:trixie-slim', 'redis:8']);
  });

  it('names them as build arguments make them', () => {
    const text = `ARG V=24 W="slim"\nARG X=\${V}-$W\nARG Y\nFROM node:\${X}\${Y:+-no}\nARG V=9\nFROM node:\${Y:-20}\n`;
    expect(imagesOf(text, {})).toEqual(['node:24-slim', 'node:20']);
    expect(imagesOf(text, { V: '22', Y: '18' })).toEqual(['node:22-slim-no', 'node:18']);
    expect(imagesOf('ARG BASE\nFROM $BASE', { BASE: 'kiln/x:1' })).toEqual(['kiln/x:1']);
  });

  it.each([
    ['a directive', '# syntax=x\n# escape=`\nFROM a\nRUN x `\nFROM b\n', ['a']],
    ['a comment inside', 'FROM a\nRUN x \\\n# FROM b\n  FROM c\n', ['a']],
    ['a mark at its begin', '\uFEFFFROM a\n', ['a']],
    ['another space', 'FROM a\n\u0085FROM b\n', ['a', 'b']],
    ['an end that engines read in two ways', 'FROM a\nRUN x \\\\\nFROM b\n', ['a', 'b']],
    ['a trigger', 'FROM a\nONBUILD COPY --from=b c d\n', ['a', 'b']],
    ['a stage that copies from a name like its own', 'FROM a AS cafe\nCOPY --from=cafe c d\n', ['a', 'cafe']],
  ])('finds what the engine would: %s', (_what, text, images) => {
    expect(imagesOf(text, {})).toEqual(images);
  });

  it.each([
    'FROM "kiln/x"',
    'FROM k\\iln/x',
    `FROM \${A:?no}`,
    'FROM $A',
    'ARG A="x\'y"\nFROM $A',
    'FROM a\nCOPY --from=$A b c',
    'FROM a\n# escape=`\nRUN x `\nFROM b',
    '# x=1\n# escape=`\nFROM b',
  ])('refuses what could be read in two ways: %j', (text) => {
    expect(() => imagesOf(text, {})).toThrow(/names no image|first line/);
  });
});
