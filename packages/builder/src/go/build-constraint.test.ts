import { describe, expect, it } from 'vitest';
import { compiledPackage } from './build-constraint.js';

const isCompiled = (name: string, head = '') => compiledPackage(name, `${head}package main\n`) === 'main';

describe('a Go file is compiled for Linux', () => {
  it.each(['main.go', 'linux.go', 'windows.go', 'x_linux.go', 'x_unix.go', 'my_windows_tool.go'])('by its name: %s', (name) => {
    expect(isCompiled(name)).toBe(true);
  });

  it.each(['x_windows.go', 'x_linux_s390x.go', 'x_darwin_amd64.go', 'x_wasm.go', 'main_test.go', '_x.go', '.x.go'])('not: %s', (name) => {
    expect(isCompiled(name)).toBe(false);
  });

  it.each<[string, boolean]>([
    ['//go:build linux\n\n', true],
    ['//go:build !windows && (unix || ignore)\n\n', true],
    ['//go:build go1.22\n', true],
    ['//go:build cgo\n\n', false],
    ['//go:build !(linux || darwin)\n\n', false],
    ['//go:build linux && ignore || windows\n\n', false],
    ['//go:build linux\n// +build ignore\n\n', true],
    ['// +build linux,ignore darwin\n\n', false],
    ['// +build ignore linux\n// +build !windows\n\n', true],
    ['// +build ignore\n', true],
    ['/* //go:build ignore */\n', true],
    ['/*\n//go:build ignore\n*/\n', true],
    ['/* licence */ // more\n//go:build ignore\r\n\r\n', false],
    ['//go:build (((\n\n', true],
    [`//go:build ${'!'.repeat(100_000)}linux\n\n`, true],
  ])('by its head: %j', (head, compiled) => expect(isCompiled('main.go', head)).toBe(compiled));

  it('as what its package clause says', () => {
    expect(compiledPackage('a.go', '// package main\npackage shop // main\n')).toBe('shop');
    expect(compiledPackage('a.go', 'var x = 1\npackage main\n')).toBeUndefined();
  });
});
