import { describe, expect, it } from 'vitest';
import { folder } from '../source/source.fixture.js';
import { isFunctionRoot } from './detect.js';

const manifest = (content: object) => ({ 'package.json': JSON.stringify(content) });
const vite = { scripts: { build: 'vite build' }, devDependencies: { vite: '8' } };
const next = { scripts: { build: 'next build' }, dependencies: { next: '16' } };
const server = "require('http').createServer().listen(process.env.PORT)";

describe('isFunctionRoot', () => {
  it.each<[string, Record<string, string>]>([
    ['a Dockerfile', { Dockerfile: 'FROM scratch' }],
    ['a Node module', { 'index.js': '' }],
    ['a module that package.json names', { ...manifest({ main: './lib/start.js' }), 'lib/start.js': '' }],
    ['a TypeScript module', { 'src/index.ts': '' }],
    ['a Node server', { ...manifest({ scripts: { start: 'node server.js' } }), 'server.js': server }],
    ['a Python handler', { 'handler.py': 'def handler(event):\n  return event\n' }],
    ['a Python app', { 'app.py': 'app = Flask(__name__)\n' }],
    ['a Go module', { 'go.mod': 'module x', 'main.go': 'package main' }],
    ['a Rust package', { 'Cargo.toml': '[package]\nname = "x"', 'src/main.rs': '' }],
    ['a page of Vite', { ...manifest(vite), 'index.html': '' }],
    ['a Next.js app', manifest(next)],
    ['a folder of files', { 'public/index.html': '' }],
    ['what only has to be corrected', { 'package.json': '{' }],
  ])('takes %s', async (_what, files) => {
    expect(await isFunctionRoot(folder({ ...files, 'below/kiln.json': '{}' }))).toBe(true);
  });

  it.each<[string, Record<string, string>]>([
    ['a workspace', manifest({ workspaces: ['functions/*'], scripts: { start: 'node tools/start.js' } })],
    ['scripts for developers', manifest({ scripts: { start: 'docker compose up', build: 'turbo run build' } })],
    ['a workspace of Rust', { 'Cargo.toml': '[workspace]\nmembers = ["a"]' }],
    ['a module of Go without a program', { 'go.mod': 'module x', 'lib.go': 'package lib' }],
    ['nothing of it', { 'README.md': '' }],
  ])('leaves %s to the folders below', async (_what, files) => {
    expect(await isFunctionRoot(folder({ ...files, 'below/kiln.json': '{}' }))).toBe(false);
  });
});
