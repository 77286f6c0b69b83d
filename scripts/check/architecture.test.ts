import { expect, it } from 'vitest';
import { faultsOf } from './architecture.mjs';

const A = 'packages/a/src/one/a.ts';
const B = 'packages/a/src/two/b.ts';
const C = 'packages/a/src/one/c.ts';
const imported = (resolved: string, more: object = {}) => ({ resolved, coreModule: false, dependencyTypes: ['local'], ...more });
const TYPES = { dependencyTypes: ['local', 'type-only'] };
const PURE = `| \`${A}\` | decides (pure) |`;
const ADDRESS = { source: 'apps/cli/src/invoke/address.ts', dependencies: [] };

/** The faults of a tree of these files, with what each is seen to import. */
function faults(
  tree: Record<string, { text?: string; imports?: object[] }>,
  more: { page?: string; code?: string[]; unseen?: string } = {},
) {
  const { page = PURE, code = [], unseen } = more;
  const all = Object.entries({ [A]: {}, ...tree });
  const modules = all.map(([source, { imports = [] }]) => ({ source, dependencies: imports }));
  return faultsOf({
    files: new Map(all.map(([file, { text = '' }]) => [file, text])),
    modules: [ADDRESS, ...modules.filter(({ source }) => source !== unseen)],
    pages: new Map([['docs/request.md', page]]),
    code,
  });
}

it('a tree without a fault has none', () => {
  expect(faults({ [A]: { imports: [imported(B)] }, [B]: {} }, { code: [A, B] })).toEqual([]);
});

it('a circle of folders is refused, of types alone too', () => {
  const tree = { [A]: { imports: [imported(B)] }, [B]: { imports: [imported(C, TYPES)] }, [C]: {} };
  expect(faults(tree)).toEqual(['circle of folders: packages/a/src/one -> packages/a/src/two -> packages/a/src/one']);
});

it('a circle of files in one folder is refused, of types alone too', () => {
  const tree = { [A]: { imports: [imported(C, TYPES)] }, [C]: { imports: [imported(A, TYPES)] } };
  expect(faults(tree)).toEqual([`circle of files: ${A} -> ${C} -> ${A}`]);
});

it('a folder of more than 15 source files is refused wherever it lies; tests do not count', () => {
  const code = Array.from({ length: 16 }, (_, i) => [`scripts/${i}.mjs`, `bench/${i}.test.ts`]).flat();
  expect(faults({}, { code })).toEqual(['scripts holds 16 source files, and may hold 15: it has a second subject']);
  expect(faults({}, { code: code.slice(2) })).toEqual([]);
});

it.each([
  ['declared in two files', 'export interface Same {}', 'export abstract class Same {}'],
  ['declared and listed', 'export type Same = 1;', 'type Same = 2;\nexport { type Same };'],
  ['listed under its name', 'export const enum Same {}', 'type Other = 2;\nexport type { Other as Same };'],
])('a type is exported once: %s', (_what, one, two) => {
  expect(faults({ [B]: { text: one }, [C]: { text: two } })).toEqual([`the type Same is exported by ${B} and ${C}`]);
});

it('a type that is passed on is no second one', () => {
  const passedOn = { text: "export type { Same } from '../two/b.js';", imports: [imported(B, TYPES)] };
  expect(faults({ [B]: { text: 'export type Same = 1;' }, [C]: passedOn })).toEqual([]);
});

it.each<[string, Record<string, { text?: string; imports?: object[] }>, string]>([
  ['imports what acts', { [A]: { imports: [imported('node:fs', { coreModule: true })] } }, `${A} imports node:fs`],
  ['reads a clock', { [A]: { text: 'export const now = () => Date.now();' } }, `${A} uses Date.now`],
  ['is not there', { [B]: {} }, 'docs/gone.ts is not there'],
  ['imports a file that acts', { [A]: { imports: [imported(C)] }, [C]: { text: 'setTimeout(f);' } }, `${C} uses setTimeout`],
])('what a page calls pure is refused where it %s', (_what, tree, fault) => {
  const file = fault.includes('gone') ? 'docs/gone.ts' : A;
  expect(faults(tree, { page: PURE.replace(A, file) })).toEqual([`${file} is called pure, and ${fault}`]);
});

it('a file is held to a comment that calls it pure; types, contracts, paths and comments do not act', () => {
  const [contract, path] = [imported('packages/contract/src/x.ts'), imported('node:path', { coreModule: true })];
  const text = '// Decides; pure. Asks no process.env.\nexport const x = 1;';
  expect(faults({ [B]: { text, imports: [contract, path, imported('node:fs', { coreModule: true, ...TYPES })] } })).toEqual([]);
  expect(faults({ [B]: { text: `${text}\nconsole.log(x);` } })).toEqual([`${B} is called pure, and ${B} uses console.`]);
});

it('a checker that sees less than there is says so', () => {
  const blind = 'the checker is blind';
  expect(faultsOf({ files: new Map(), modules: [], pages: new Map(), code: [] })).toContain(`no source was found: ${blind}`);
  expect(faults({ [B]: {} }, { unseen: B })).toEqual([`${B} was not looked at: ${blind}`]);
  expect(faults({ [B]: { text: "import { c } from '../one/c.js';" } })).toEqual([`${B} was not seen to import anything: ${blind}`]);
  expect(faults({}, { page: 'nothing' })).toEqual([`no page calls a file pure: ${blind}`]);
});
