import { describe, expect, it } from 'vitest';
import { chooseExport, functionExports } from './exports.js';

const handler = () => undefined;
const commonJs = (root: unknown) => functionExports({ default: root, 'module.exports': root });
const told = (exports: ReturnType<typeof functionExports>) => exports.map(({ name, kind }) => `${name}: ${kind}`);

function app(): unknown {
  return Object.assign(() => undefined, { handle: () => undefined, listen: () => undefined });
}

describe('functionExports', () => {
  it('takes the object form, with func or definition, and its config', () => {
    const exports = commonJs({ a: { func: handler, config: { timeout: 5 } }, b: { definition: handler } });
    expect(told(exports)).toEqual(['a: definition', 'b: definition']);
    expect(exports.map(({ config }) => config)).toEqual([{ timeout: 5 }, undefined]);
  });

  it('takes module.exports itself: a function, an app, or one object form', () => {
    expect(told(commonJs(handler))).toEqual(['default: function']);
    expect(told(commonJs(app()))).toEqual(['default: app']);
    expect(told(commonJs({ func: handler, config: {} }))).toEqual(['default: definition']);
  });

  it('takes functions set on an exported function, but no part of an app', () => {
    expect(told(commonJs(Object.assign(() => undefined, { other: handler })))).toEqual(['default: function', 'other: function']);
    expect(told(commonJs(Object.assign(app() as object, { get: handler })))).toEqual(['default: app']);
  });

  it('takes named and default exports of an ES module, also a default object of functions', () => {
    expect(told(functionExports({ hello: handler, default: handler }))).toEqual(['hello: function', 'default: function']);
    expect(told(functionExports({ default: { a: handler, b: { func: handler } } }))).toEqual(['a: function', 'b: definition']);
  });

  it('leaves out what is no function: values, classes, objects without one', () => {
    expect(commonJs({ version: '1', Thing: class {}, config: { timeout: 5 }, nothing: null })).toEqual([]);
  });

  it('calls the object form with its object as this', () => {
    const definition = {
      greeting: 'hi',
      func() {
        return this.greeting;
      },
    };
    const [first] = commonJs({ a: definition });
    expect(first?.handler(undefined as never, undefined as never, handler)).toBe('hi');
  });

  it('takes an export named upgrade for WebSockets, unless it is alone', () => {
    const upgrade = () => undefined;
    const [first, ...others] = commonJs({ hello: handler, upgrade });
    expect([first?.name, first?.upgrade, others]).toEqual(['hello', upgrade, []]);
    expect(told(commonJs({ upgrade }))).toEqual(['upgrade: function']);
  });

  it('prefers the handler’s own upgrade', () => {
    const own = Object.assign(() => undefined, { upgrade: () => 'own' });
    const [first] = commonJs({ hello: own, upgrade: () => 'shared' });
    expect(first?.upgrade?.(undefined as never, undefined as never, Buffer.alloc(0))).toBe('own');
  });
});

describe('chooseExport', () => {
  const list = (...names: string[]) => names.map((name) => ({ name, kind: 'function' as const }));

  it.each([
    ['the one asked for', list('a', 'default', 'f'), { handler: 'a', functionName: 'f' }, 'a'],
    ['none where the one asked for is not there', list('default'), { handler: 'a' }, undefined],
    ['the one named like the function', list('a', 'default', 'f'), { functionName: 'f' }, 'f'],
    ['the default', list('a', 'default'), { functionName: 'f' }, 'default'],
    ['the only one', list('a'), { functionName: 'f' }, 'a'],
    ['none of several', list('a', 'b'), { functionName: 'f' }, undefined],
  ])('gives %s', (_what, exports, wanted, name) => {
    expect(chooseExport(exports, wanted)?.name).toBe(name);
  });
});
