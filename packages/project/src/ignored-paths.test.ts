import { expect, it } from 'vitest';
import { ignoreRules, isSent } from './ignore-rules.js';
import { ignoredPaths } from './ignored-paths.js';

it('leaves out what the rules leave out', async () => {
  const texts = { dockerignore: '*.md\n!README.md\n', kilnignore: 'old\n/tmp*\n' };
  const paths = [
    'README.md',
    'a.md',
    'kiln.json',
    'Dockerfile',
    'old/x.js',
    'old/',
    'src/old/x',
    'tmp1',
    'src/tmp1',
    '.env',
    'a/.env.local',
    'x.js',
  ];
  const rules = ignoreRules(texts.dockerignore, texts.kilnignore);
  expect([...(await ignoredPaths(texts, paths))]).toEqual(paths.filter((path) => !isSent(path, rules)));
});

it('a pattern that takes for ever on a path is refused, and holds nobody else up', async () => {
  const kilnignore = `${'**/a/'.repeat(20)}b\n`;
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 5);
  const matching = ignoredPaths({ dockerignore: undefined, kilnignore }, [`${'a/'.repeat(100)}c`], { deadlineMs: 500 });
  await expect(matching).rejects.toMatchObject({ code: 'bad_request', message: expect.stringContaining('takes longer than') });
  clearInterval(ticking);
  expect(ticks).toBeGreaterThan(10);
});

it('a pattern that takes for ever to be read holds nobody else up', async () => {
  const kilnignore = `*${'a'.repeat(200_000)}`;
  const began = performance.now();
  const matching = ignoredPaths({ dockerignore: undefined, kilnignore }, ['x'], { deadlineMs: 300 });
  await matching.catch(() => undefined);
  expect(performance.now() - began).toBeLessThan(5000);
});

it('patterns that take all of the thread’s memory end the thread and not the process, and are refused; the next are matched', async () => {
  // Of a path all the folders above it are kept, each with its whole name.
  const deep = Array.from({ length: 2000 }, (_, i) => `${i}/${'a/'.repeat(500)}c`);
  const texts = { dockerignore: undefined, kilnignore: '*.md\n' };
  const matching = ignoredPaths(texts, deep, { deadlineMs: 60_000, memoryMb: 32 });
  await expect(matching).rejects.toMatchObject({ code: 'bad_request', message: expect.stringContaining('can not be matched') });
  await expect(matching).rejects.toMatchObject({ cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' } });
  expect([...(await ignoredPaths(texts, ['a.md', 'x.js']))]).toEqual(['a.md']);
});
