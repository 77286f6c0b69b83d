import { describe, expect, it } from 'vitest';
import { KilnError } from '../errors.js';
import { readKilnJson, readProjectName, resolveConfig } from './function-config.js';

function refusal(action: () => unknown): KilnError {
  try {
    action();
  } catch (error) {
    if (error instanceof KilnError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

describe('resolveConfig', () => {
  it('fills in every default of the contract', () => {
    expect(resolveConfig({}, 'runner')).toEqual({
      timeout: 15_000,
      startTimeout: 30_000,
      memory: 256,
      cpu: 1,
      concurrency: 1,
      maxInstances: 100,
      minInstances: 0,
      queue: 100,
      idleTimeout: 300_000,
      freezeAfter: 1000,
      stopGrace: 10_000,
      maxBody: 33_554_432,
      port: 8080,
      env: {},
      secrets: [],
      auth: 'none',
    });
  });

  it('gives other HTTP images a concurrency of 100', () => {
    expect(resolveConfig({}, 'http').concurrency).toBe(100);
    expect(resolveConfig({ concurrency: 3 }, 'http').concurrency).toBe(3);
  });

  it.each([
    [{ timeout: 0 }, 'config.timeout'],
    [{ timeout: 900_001 }, 'config.timeout'],
    [{ timeout: '5' }, 'config.timeout'],
    [{ memory: -1 }, 'config.memory'],
    [{ cpu: Number.POSITIVE_INFINITY }, 'config.cpu'],
    [{ port: 65_536 }, 'config.port'],
    [{ auth: 'maybe' }, 'config.auth'],
    [{ env: { 'A=B': 'x' } }, 'config.env.A=B'],
    [{ env: { KILN_SOCKET: 'x' } }, 'config.env.KILN_SOCKET'],
    [{ env: { A: 'a\0b' } }, 'config.env.A'],
    [{ minInstances: 2, maxInstances: 1 }, 'config.minInstances'],
  ])('refuses %j and names the field', (input, field) => {
    const error = refusal(() => resolveConfig(input, 'runner'));
    expect(error.code).toBe('bad_request');
    expect(error.fields?.map((entry) => entry.field)).toEqual([field]);
  });

  it.each([
    [{ timeout: '10s' }, 'config.timeout must be a whole number of ms, 1 to 900000, and is the text "10s"'],
    [{ memory: 1.5 }, 'config.memory must be a whole number of MB, 16 to 1048576, and is 1.5'],
    [{ maxBody: -1 }, 'config.maxBody must be a whole number of bytes, 0 or more, and is -1'],
    [{ auth: true }, 'config.auth must be "none" or "key", and is true'],
    [{ env: { A: 1 } }, 'config.env.A must be a text in quotes, and is 1'],
    [{ env: { PORT: '1' } }, "config.env.PORT can't be a name: it is reserved: KILN_* and PORT are set by the platform"],
    [{ secrets: 'TOKEN' }, 'config.secrets must be a list of names, and is the text "TOKEN"'],
    [{ cpu: null }, 'config.cpu must be a number of cores, 0.01 to 1024, and is null'],
  ])('says of %j what it must be and what it is', (input, message) => {
    expect(refusal(() => resolveConfig(input, 'runner')).message).toBe(message);
  });

  it('names the nearest key for one that it does not know', () => {
    expect(refusal(() => resolveConfig({ timout: 5 }, 'runner')).message).toContain('did you mean "timeout"');
  });

  it.each([[null], [[]], ['text'], [7]])('refuses %j, which is no object', (input) => {
    expect(refusal(() => resolveConfig(input, 'runner')).code).toBe('bad_request');
  });
});

describe('readKilnJson', () => {
  it('takes the folder’s name for a function without one', () => {
    expect(readKilnJson({ memory: 128 }, 'hello')).toEqual([{ name: 'hello', config: { memory: 128 } }]);
  });

  it('reads several functions', () => {
    expect(readKilnJson({ functions: [{ name: 'a' }, { name: 'b', timeout: 5 }] }, 'folder').map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it.each([[{ project: 'shop', memory: 128 }], [{ project: 'shop', functions: [{ name: 'folder', memory: 128 }] }]])(
    'takes %j, whose project is no part of the configuration',
    (content) => {
      expect(readKilnJson(content, 'folder')).toEqual([{ name: 'folder', config: { memory: 128 } }]);
      expect(readProjectName(content)).toBe('shop');
    },
  );

  it.each([
    [{ project: 'No Name' }, 'kiln.json.project'],
    [{ functions: [{ name: 'a', project: 'shop' }] }, 'kiln.json.functions[0].project'],
    [{ name: 'Bad_Name' }, 'kiln.json.name'],
    [{ functions: [] }, 'kiln.json.functions'],
    [{ functions: [{ name: 'a' }, { name: 'a' }] }, 'kiln.json.functions[1].name'],
    [{ functions: [{ name: 'a', timeout: -1 }] }, 'kiln.json.functions[0].timeout'],
    [{ functions: [{ name: 'a' }], timeout: 5 }, 'kiln.json.timeout'],
    [{ functions: [{ timeout: 5 }] }, 'kiln.json.functions[0].name'],
  ])('refuses %j and names the field', (input, field) => {
    expect(refusal(() => readKilnJson(input, 'folder')).fields?.[0]?.field).toBe(field);
  });

  it('does not take a folder’s name that no function may have', () => {
    expect(refusal(() => readKilnJson({}, 'My Folder')).fields?.[0]?.field).toBe('kiln.json.name');
  });
});
