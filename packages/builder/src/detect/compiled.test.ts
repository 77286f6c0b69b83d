import { describe, expect, it } from 'vitest';
import { detect } from '../detect/detect.js';
import { dockerfileText } from '../detect/detector.js';
import { binsOf } from '../detect/rust.js';
import { folder, GIVEN, planOf } from '../source/source.fixture.js';

const GO = { 'go.mod': 'module example.com/x\n\ngo 1.24\n' };
const MAIN = 'package main\n\nfunc main() {}\n';
const CARGO = '[package]\nname = "greeter"\nversion = "0.1.0"\n';

const textOf = async (contents: Record<string, string>, entry: string) => dockerfileText(await detect(folder(contents), { entry }), GIVEN);

describe('detect, for Go,', () => {
  it.each([
    ['the folder itself', { ...GO, 'main.go': MAIN }, '.'],
    ['a module beside a package.json', { ...GO, 'main.go': `// c\n${MAIN}`, 'package.json': '{}', 'index.js': '' }, '.'],
    ['the only command', { ...GO, 'x.go': 'package x', 'cmd/server/main.go': MAIN, 'cmd/lib/l.go': 'package lib' }, './cmd/server'],
  ])('builds %s', async (_what, contents, target) => {
    const plan = await planOf(contents as unknown as Record<string, string>);
    expect([plan.kind, plan.baseImages, plan.prepared?.name]).toEqual(['http', ['golang:1.24-trixie'], 'golang']);
    expect(plan.text).toContain(`-o /out/function ${target}\n`);
  });

  it.each<[string, Record<string, string>]>([
    ['a magefile', { 'magefile.go': `//go:build mage\n\n${MAIN}` }],
    ['a file to be ignored', { 'gen.go': `// Copyright\n\n//go:build ignore\n\n${MAIN}` }],
    ['a file of old with +build', { 'gen.go': `// +build ignore\n\n${MAIN}` }],
    ['a file for another system', { 'gen_windows.go': MAIN }],
    ['a comment that shows a program', { 'doc.go': `/*\n${MAIN}*/\npackage shop\n` }],
    ['a command that is ignored', { 'cmd/gen/main.go': `//go:build ignore\n\n${MAIN}` }],
  ])('takes nothing from what the compiler leaves out: %s', async (_what, files) => {
    const plan = await planOf({ ...GO, 'shop.go': 'package shop\n', 'cmd/server/main.go': MAIN, ...files });
    expect([plan.notes[0], plan.text]).toEqual([
      'found go.mod with package main in ./cmd/server',
      expect.stringContaining('/out/function ./cmd/server\n'),
    ]);
  });

  it.each(['cmd/b', './cmd/b', 'cmd/b/main.go', './cmd/b/'])('builds what entry names: %s', async (entry) => {
    expect(await textOf({ ...GO, 'cmd/a/main.go': MAIN, 'cmd/b/main.go': MAIN }, entry)).toContain('/out/function ./cmd/b\n');
  });

  it('asks which of several commands is meant, and takes nothing into a command line', async () => {
    const several = { ...GO, 'cmd/a/main.go': MAIN, 'cmd/b/main.go': MAIN };
    await expect(detect(folder(several), {})).rejects.toThrowError(/entry: which of cmd\/a, cmd\/b/);
    await expect(detect(folder({ ...GO, '$(id)/main.go': MAIN }), { entry: '$(id)' })).rejects.toThrowError(/nothing to build/);
    await expect(detect(folder({ ...GO, 'main_test.go': MAIN, 'x.go': 'package x' }), {})).rejects.toThrowError(/looked for .*go\.mod/);
  });

  it('fetches what go.mod names before the sources are copied, where that can be', async () => {
    const needs = { 'go.mod': `${GO['go.mod']}require github.com/x/y v1.0.0\n`, 'go.sum': '', 'main.go': MAIN };
    expect((await planOf(needs)).text).toMatch(/COPY app\/go\.mod app\/go\.sum \.\/\nRUN go mod download\nCOPY app\/ \.\/\n/);
    for (const more of [{ 'vendor/modules.txt': '' }, { 'go.mod': `${needs['go.mod']}replace github.com/x/y => ./y\n` }]) {
      expect((await planOf({ ...needs, ...more } as Record<string, string>)).text).not.toContain('download');
    }
    expect((await planOf({ ...GO, 'main.go': MAIN })).text).not.toContain('download');
  });
});

describe('detect, for Rust,', () => {
  it('builds the package’s program, as its lockfile says', async () => {
    const plan = await planOf({ 'Cargo.toml': CARGO, 'Cargo.lock': '', 'src/main.rs': '' });
    expect([plan.kind, plan.baseImages]).toEqual(['http', ['rust:1-slim-trixie', 'debian:trixie-slim']]);
    expect(plan.text).toContain('cargo build --release --locked --bin greeter ');
    expect((await planOf({ 'Cargo.toml': CARGO, 'src/main.rs': '' })).notes.join()).toContain('no Cargo.lock');
  });

  it('asks which of several programs is meant, by name or source', async () => {
    const several = { 'Cargo.toml': CARGO, 'src/main.rs': '', 'src/bin/b.rs': '' };
    await expect(detect(folder(several), {})).rejects.toThrowError(/entry: which of greeter, b/);
    for (const entry of ['b', 'src/bin/b.rs', './src/bin/b.rs']) expect(await textOf(several, entry)).toContain('--bin b ');
  });

  it('builds the program that default-run names, and entry wins', async () => {
    const several = { 'Cargo.toml': `${CARGO}default-run = "server"\n`, 'src/bin/migrate.rs': '', 'src/bin/server.rs': '' };
    expect((await planOf(several)).text).toContain('--bin server ');
    expect(await textOf(several, 'migrate')).toContain('--bin migrate ');
    const renamed = `${CARGO}default-run = 'web'\n[[bin]]\nname = "web"\npath = "src/serve.rs"\n`;
    expect((await planOf({ 'Cargo.toml': renamed, 'src/main.rs': '', 'src/serve.rs': '' })).text).toContain('--bin web ');
    const wrong = { ...several, 'Cargo.toml': `${CARGO}default-run = "gone"\n` };
    await expect(detect(folder(wrong), {})).rejects.toThrowError(/entry: which of migrate, server/);
  });

  it('leaves libraries and workspaces alone', async () => {
    await expect(detect(folder({ 'Cargo.toml': CARGO, 'src/lib.rs': '' }), {})).rejects.toThrowError(/Rust: Cargo\.toml with a program/);
    await expect(detect(folder({ 'Cargo.toml': '[workspace]\nmembers = ["a"]\n' }), {})).rejects.toThrowError(/nothing to build/);
  });
});

describe('binsOf', () => {
  it('names programs as cargo does, and none that could be something else in a command', () => {
    const manifest = `${CARGO}\n[[bin]]\nname = "named"\npath = "src/main.rs"\n\n[[bin]]\nname = 'x; id'\npath = "y.rs"\n[dependencies]\nname = "no"\n`;
    const sources = folder({ 'src/main.rs': '', 'src/bin/c/main.rs': '', 'y.rs': '' });
    expect([...binsOf(sources, manifest)]).toEqual([
      ['c', 'src/bin/c/main.rs'],
      ['named', 'src/main.rs'],
    ]);
  });
});
