import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { describe, expect, it } from 'vitest';
import { checkDeclared } from './check-declared.js';
import { detect } from './detect/detect.js';
import { SourceFolder } from './source/source-folder.js';

async function refusal(source: string, config: FunctionConfigInput = {}, name = 'shop', file = 'index.mjs'): Promise<string | undefined> {
  const content = Buffer.from(source);
  const files = [{ path: file, size: content.length, executable: false, hash: '' }];
  const folder = new SourceFolder('', files, async () => content);
  return await checkDeclared(folder, { plan: await detect(folder, config), config, functionName: name }).then(
    () => undefined,
    (error: Error) => error.message,
  );
}

const two = 'export const a = (req, res) => res.end();\nexport async function b(req, res) {}\n';

describe('checkDeclared, before there is a build', () => {
  it('refuses a handler that the module surely does not export, and names those that it does', async () => {
    expect(await refusal(two, { handler: 'c' })).toBe('index.mjs exports no "c", which kiln.json names as the handler; there are: b, a');
    expect(await refusal(two, { handler: 'a' })).toBeUndefined();
    expect(await refusal(two.replaceAll('req,', 'req: any,'), { handler: 'c' }, 'shop', 'index.ts')).toContain('index.ts exports no "c"');
  });

  it('refuses several exports of which none is chosen', async () => {
    expect(await refusal(two)).toContain('nothing says which of them is "shop": b, a');
    expect(await refusal(two, {}, 'a')).toBeUndefined();
    expect(await refusal(`${two}export default a;`)).toBeUndefined();
    expect(await refusal('export const a = {\n  func: (req, res) => {} };\nexport const b = { func() {} };\n')).toContain('a, b');
  });

  it.each([
    'export * from "./other.mjs";\nexport const a = () => {};',
    'const all = { x: 1 };\nmodule.exports = all;\nmodule.exports.a = () => {};',
    'export default make();\nexport const a = (req, res) => {};',
    'import { c as d } from "./c.mjs";\nexport const a = (req, res) => {};\nexport { d as "c" };',
    'export const { a, b } = make();',
  ])('says nothing of a module that may export more than it shows: %j', async (source) => {
    expect(await refusal(source, { handler: 'c' })).toBeUndefined();
  });

  it('refuses values that do not go together', async () => {
    expect(await refusal(two, { handler: 'a', minInstances: 200 })).toBe('kiln.json.minInstances must not be more than maxInstances');
  });

  it.each([
    `export ${' '.repeat(400_000)}`,
    `${' '.repeat(400_000)}export`,
    `export const a = {${'\n'.repeat(400_000)}`,
    `export const a =${' async'.repeat(60_000)}`,
    `export const x = 1;\n${'['.repeat(400_000)}`,
    `${'export const a\t'.repeat(30_000)}`,
  ])('is quick on a text that is made to be slow', async (source) => {
    const started = performance.now();
    await refusal(source, { handler: 'c' });
    expect(performance.now() - started).toBeLessThan(1500);
  });
});
