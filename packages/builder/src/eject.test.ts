import { describe, expect, it } from 'vitest';
import { detect } from './detect/detect.js';
import { ejected } from './eject.js';
import { folder } from './source/source.fixture.js';

const ejectAll = async (contents: Record<string, string>, handler?: string) => ejected(await detect(folder(contents), {}), 'f', handler);
const eject = async (contents: Record<string, string>) => (await ejectAll(contents)).dockerfile;
const GO = { 'go.mod': 'module x\ngo 1.24\nrequire github.com/a/b v1\n', 'go.sum': '', 'main.go': 'package main\n' };

describe('ejected', () => {
  it('stands for itself: built from the folder, with our prepared image as a stage of its own', async () => {
    const text = await eject(GO);
    expect(text).toMatch(/^FROM golang:1\.24-trixie AS prepared\n[\s\S]*\nFROM prepared AS build\n/);
    expect(text).toContain('COPY ./go.mod ./go.sum ./\n');
    expect(text).toContain('COPY ./ ./\n');
    expect(text).toContain('COPY --from=build /out/function /app/function\n');
    expect(text).not.toMatch(/kiln|COPY app\//);
  });

  it('is that of a Python program with its own server, too', async () => {
    expect(await eject({ 'app.py': 'app = 1', 'requirements.txt': 'gunicorn' })).toMatch(
      /COPY \.\/requirements\.txt \/app\/[\s\S]*COPY \.\/ \/app\//,
    );
  });

  it('brings the runner for a function that Kiln itself serves, as a program that listens', async () => {
    const { dockerfile, files } = await ejectAll({ 'index.ts': 'export const a = () => {};' }, 'a');
    expect([...files.keys()]).toEqual(['.kiln/runner.mjs']);
    expect(dockerfile).toMatch(/^FROM node:24-trixie-slim AS prepared\nCOPY \.kiln\/runner\.mjs \/opt\/kiln\/runner\.mjs\n/);
    expect(dockerfile).toMatch(/CMD \["node","\/opt\/kiln\/runner\.mjs","serve","--function","f","--handler","a","index\.cjs"\]\n$/);
    expect(dockerfile).not.toMatch(/kiln\.kind|COPY app\//);
    expect(await eject({ 'index.html': '' })).toMatch(/COPY \.\/ \/app\/\n[\s\S]*CMD .*"kiln-site\.json"\]\n$/);
  });

  it.each([
    ['a Python handler', { 'handler.py': 'def handler(event): pass' }, /speaks to the agent of a node alone/],
    ['a folder with a Dockerfile', { Dockerfile: 'FROM x' }, /its own Dockerfile/],
  ])('refuses %s', async (_what, contents, message) => {
    await expect(eject(contents as unknown as Record<string, string>)).rejects.toThrowError(message);
  });
});
