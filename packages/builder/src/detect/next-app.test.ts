import { describe, expect, it } from 'vitest';
import { planOf } from '../source/source.fixture.js';

/** As `create-next-app` lays it out. */
const next = (config: string, more: object = {}) => ({
  'package.json': JSON.stringify({
    scripts: { dev: 'next dev', build: 'next build', start: 'next start' },
    dependencies: { next: '16', react: '19', 'react-dom': '19' },
    ...more,
  }),
  'next.config.mjs': `/** @type {import('next').NextConfig} */\nconst nextConfig = {${config}};\n\nexport default nextConfig;\n`,
  'app/page.js': 'export default function Home() {}\n',
});

describe('a Next.js app', () => {
  it('is built as a standalone server, its configuration as it is', async () => {
    const plan = await planOf(next(''));
    expect([plan.kind, plan.config, plan.files]).toEqual(['http', undefined, undefined]);
    expect(plan.notes[0]).toBe('found next in package.json and the script "build" (next build): building its standalone server');
    expect(plan.text).toMatch(/--include=dev[\s\S]*ENV NEXT_PRIVATE_STANDALONE=1 .*BASE_PATH=\/fn\/f\nRUN npm run build/);
    expect(plan.text).toMatch(
      /COPY --from=build \/app\/\.next\/standalone\/ \/app\/\n[\s\S]*HOSTNAME=0\.0\.0\.0[\s\S]*exec node server\.js"\]\n$/,
    );
  });

  it('made for its path is also asked by a path without it', async () => {
    const plan = await planOf(next(' basePath: process.env.BASE_PATH '));
    expect([...(plan.files?.keys() ?? [])]).toEqual(['kiln-base-path.cjs']);
    expect(plan.text).toMatch(
      /COPY kiln-base-path\.cjs \/app\/\nENV BASE_PATH=\/fn\/f\n[\s\S]*node --require=\/app\/kiln-base-path\.cjs server\.js/,
    );
    expect(plan.notes.join()).toContain('next.config.mjs asks for BASE_PATH');
  });

  it('that is exported is a site', async () => {
    const plan = await planOf(next(" output: 'export' "));
    expect([plan.kind, plan.config?.entry]).toEqual(['runner', 'kiln-site.json']);
    expect(plan.text).toContain('"site","/app/out","/site"]');
  });

  it('is refused where its build lies elsewhere, and is none without a build', async () => {
    await expect(planOf(next(" distDir: 'build' "))).rejects.toThrowError(/next\.config\.mjs sets distDir/);
    expect((await planOf(next('', { scripts: { start: 'node server.js' } }))).notes[0]).toMatch(/found a Node server/);
  });
});
