import { describe, expect, it } from 'vitest';
import { detect } from './detect.js';
import { ejected } from './eject.js';
import { folder } from './source.fixture.js';

const eject = async (contents: Record<string, string>) => ejected(await detect(folder(contents), {}), 'f');
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

  it.each([
    ['a module that the runner serves', { 'index.js': 'exports.a = () => {};' }, /part of Kiln’s own/],
    ['a Python handler', { 'handler.py': 'def handler(event): pass' }, /part of Kiln’s own/],
    ['a folder with a Dockerfile', { Dockerfile: 'FROM x' }, /its own Dockerfile/],
  ])('refuses %s', async (_what, contents, message) => {
    await expect(eject(contents as unknown as Record<string, string>)).rejects.toThrowError(message);
  });
});
