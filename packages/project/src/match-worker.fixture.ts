import { registerHooks } from 'node:module';

// A thread of a test has no test runner that finds the sources.
registerHooks({
  resolve(specifier, context, next) {
    return next(
      /^\.\.?\/.*\.js$/.test(specifier) && context.parentURL?.endsWith('.ts') ? specifier.replace(/js$/, 'ts') : specifier,
      context,
    );
  },
});

await import('./match-worker.js');
