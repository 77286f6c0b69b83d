#!/usr/bin/env node
// A Chromium for the tests that open pages. One that is there is used as it is; none: it is installed, and said so.
import { installPackages } from './packages.mjs';

const CHROMIUM = '/usr/bin/chromium';

installPackages(['chromium'], [CHROMIUM], (line) => process.stderr.write(`kiln: ${line}\n`));
process.stdout.write(`${CHROMIUM}\n`);
