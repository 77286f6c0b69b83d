#!/usr/bin/env node
// The command line alone, for machines that only deploy: no engine, no Redis.
import { announce, build, installDependencies, main } from './setup.mjs';
import { ensureTools } from './tools.mjs';

await main(async () => {
  ensureTools(announce);
  installDependencies();
  build();
});
