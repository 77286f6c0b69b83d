import { expect } from 'vitest';
import { colourOf } from '../../support/browser.js';
import { fixture } from '../../support/inside.js';
import { type RealProject } from '../project.js';

export const SERVERS: RealProject[] = [
  {
    // As `nest new` lays it out, without what tests and checks it.
    name: 'nest-server',
    folder: fixture('nest-server'),
    nightly: true,
    evidence: /Node server \(@nestjs\/core\): the script "start:prod" runs node dist\/main[\s\S]*found the script "build": running it/,
    shows: /^Hello Nest$/,
    files: {
      'src/app.service.ts':
        "import { Injectable } from '@nestjs/common';\n@Injectable()\nexport class AppService {\n  getHello(): string {\n    return 'Bye Nest';\n  }\n}\n",
    },
    showsThen: /^Bye Nest$/,
  },
  {
    // As `express --no-view` lays it out.
    name: 'express-server',
    folder: fixture('express-server'),
    evidence: /Node server \(express\): the script "start" runs node \.\/bin\/www[\s\S]*found package-lock\.json: installing what it says/,
    shows: /^\s*Express\s*$/,
    assets: [/\/stylesheets\/style\.css$/],
    look: async (page) => expect(await colourOf(page, 'h1')).toBe('rgb(7, 8, 9)'),
    files: { 'public/index.html': '<link rel="stylesheet" href="/stylesheets/style.css"><h1>Express again</h1>\n' },
    showsThen: /^\s*Express again\s*$/,
  },
  {
    // As `fastify generate` lays it out.
    name: 'fastify-server',
    folder: fixture('fastify-server'),
    nightly: true,
    evidence: /Node server \(fastify\): the script "start" runs fastify start -l info app\.js/,
    shows: /"root":"Hello Fastify"/,
    files: { 'routes/root.js': "module.exports = async (fastify) => {\n  fastify.get('/', async () => 'Bye Fastify');\n};\n" },
    showsThen: /^Bye Fastify$/,
  },
  {
    name: 'koa-server',
    folder: fixture('koa-server'),
    nightly: true,
    evidence: /Node server \(koa\): index\.js listens on a port/,
    shows: /^Hello Koa$/,
    files: {
      'index.js': "const Koa = require('koa');\nnew Koa().use((ctx) => { ctx.body = 'Bye Koa'; }).listen(process.env.PORT || 3000);\n",
    },
    showsThen: /^Bye Koa$/,
  },
  {
    // As `create-hono` lays it out for Node.
    name: 'hono-server',
    folder: fixture('hono-server'),
    nightly: true,
    evidence: /Node server \(hono\): the script "start" runs node dist\/index\.js[\s\S]*found yarn\.lock: installing what it says/,
    shows: /^Hello Hono!$/,
    files: {
      'src/index.ts':
        "import { serve } from '@hono/node-server'\nimport { Hono } from 'hono'\nconst app = new Hono()\napp.get('/', (c) => c.text('Bye Hono!'))\nserve({ fetch: app.fetch, port: 3000 })\n",
    },
    showsThen: /^Bye Hono!$/,
  },
];
