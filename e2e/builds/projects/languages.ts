import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { colourOf } from '../../support/browser.js';
import { example, fixture } from '../../support/inside.js';
import { changed, type RealProject } from '../project.js';

const HANDLER = 'def handler(event):\n    return ["changed", event]\n';
const looks = async (page: Page) => expect(await colourOf(page, 'h1')).toBe('rgb(31, 32, 33)');

export const LANGUAGES: RealProject[] = [
  {
    name: 'go',
    folder: fixture('go'),
    evidence: /found go\.mod with package main in \./,
    shows: /Hello, , from Go\s*zones true, uid 65532/,
    assets: [/\/static\/style\.css$/],
    look: looks,
    files: { 'greet/greet.go': 'package greet\n\nfunc Text(name string) string { return "changed " + name }\n' },
    showsThen: /changed \s*zones true/,
  },
  {
    name: 'rust',
    folder: fixture('rust'),
    evidence: /found Cargo\.toml with the program greeter/,
    shows: /Hello from Rust/,
    assets: [/\/style\.css$/],
    look: looks,
    files: changed(fixture('rust'), 'src/main.rs', 'Hello from', 'Bye bye from'),
    showsThen: /Bye bye from Rust/,
  },
  {
    name: 'event',
    folder: example('event'),
    evidence: /handler\.py/,
    // The sample event, where no body comes.
    shows: /^\{"message": "Hello, world!"/,
    files: { 'handler.py': HANDLER },
    showsThen: /^\["changed", \{"name": "world"\}\]$/,
  },
  {
    name: 'wsgi-page',
    folder: fixture('wsgi-page'),
    nightly: true,
    evidence: /app\.py/,
    shows: /Hello from WSGI/,
    assets: [/\/static\/style\.css$/],
    look: looks,
    files: changed(fixture('wsgi-page'), 'app.py', 'Hello from', 'Bye bye from'),
    showsThen: /Bye bye from WSGI/,
  },
  {
    name: 'asgi-page',
    folder: fixture('asgi-page'),
    nightly: true,
    evidence: /main\.py/,
    shows: /Hello from ASGI/,
    assets: [/\/static\/style\.css$/],
    look: looks,
    files: changed(fixture('asgi-page'), 'main.py', 'Hello from', 'Bye bye from'),
    showsThen: /Bye bye from ASGI/,
  },
  {
    name: 'dockerfile',
    folder: fixture('from-cless'),
    evidence: /found a Dockerfile/,
    shows: /Hello from cLess/,
    files: changed(fixture('from-cless'), 'server.js', 'Hello from', 'Bye bye from'),
    showsThen: /Bye bye from cLess/,
  },
];
