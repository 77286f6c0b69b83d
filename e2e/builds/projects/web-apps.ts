import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { colourOf, widthOf } from '../../support/browser.js';
import { example, fixture } from '../../support/inside.js';
import { type RealProject } from '../project.js';

export const PAGES: RealProject[] = [
  {
    // As `create-vite` lays it out.
    name: 'vite',
    folder: example('vite'),
    evidence: /found vite in package\.json, index\.html and the script "build" \(vite build\)/,
    shows: /Hello from Vite/,
    assets: [/\/assets\/[^/]+\.js$/, /\/assets\/[^/]+\.css$/, /\/icons\.svg$/, /\/favicon\.svg$/],
    look: async (page) => expect(await colourOf(page, 'body')).toBe('rgb(12, 34, 56)'),
    files: {
      'src/main.js':
        "import './style.css';\ndocument.querySelector('#app').innerHTML = '<h1>Hello again</h1><img src=\"/icons.svg\" alt=\"\">';\n",
    },
    showsThen: /^\s*Hello again\s*$/,
  },
  {
    // As `create-vite --template react` lays it out.
    name: 'react-app',
    folder: fixture('react-app'),
    evidence: /found vite in package\.json[\s\S]*found pnpm-lock\.yaml: installing what it says/,
    shows: /Hello from React/,
    assets: [/\/assets\/[^/]+\.js$/, /\/assets\/[^/]+\.css$/, /\/assets\/hero[^/]*\.png$/, /\/icons\.svg$/, /\/favicon\.svg$/],
    look: async (page) => expect(await widthOf(page, '#hero')).toBe(48),
    files: {
      'index.html': readFileSync(`${fixture('react-app')}/index.html`, 'utf8').replace('<div id="root"></div>', '<p>Changed</p>$&'),
    },
    showsThen: /Changed\s*Hello from React/,
  },
  {
    name: 'site',
    folder: example('site'),
    evidence: /found index\.html and no package\.json: serving the files as they are/,
    shows: /A folder of files/,
    assets: [/\/css\/site\.css$/],
    files: { 'index.html': '<!doctype html><link rel="stylesheet" href="css/site.css"><h1>Another folder</h1>\n' },
    showsThen: /^\s*Another folder\s*$/,
  },
];
