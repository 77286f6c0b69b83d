import type { BuildArgs } from '@kiln/contract/api/build-args';
import type { BuildSecrets } from '@kiln/contract/api/build-secrets';
import type { BuiltImage } from '@kiln/contract/api/control-api';
import type { Command } from 'commander';
import { dataCommand, examples, type Session } from '../../command.js';
import { eject } from '../../deploy/eject.js';
import { EngineLines } from '../../deploy/engine-lines.js';
import { addBuildArg } from '../../deploy/options/build-args.js';
import { addBuildSecret, BUILD_SECRET } from '../../deploy/options/build-secrets.js';
import { type PreparedFunction, prepare } from '../../deploy/prepare.js';
import { Interrupted } from '../../failure.js';
import { packFiles } from '../../folder/pack.js';
import { formatOf, type OutputOptions, printLine } from '../../output/print.js';
import { Progress } from '../../output/progress-bar.js';
import { pairs } from '../../output/table.js';

interface BuildOptions extends OutputOptions {
  name?: string;
  only?: string[];
  buildArg?: BuildArgs;
  buildSecret?: BuildSecrets;
  eject?: boolean;
  verbose?: boolean;
}

export function buildCommand(session: Session): Command {
  return dataCommand('build', session)
    .summary('build a folder on this machine, without deploying it')
    .description(
      'Makes the image that a deployment would make, on the Docker engine of this machine, and says what it is. No cluster is needed.\n' +
        'With --eject nothing is built: the Dockerfile that would be used is written into the folder, with a .dockerignore and what\n' +
        'it needs of Kiln’s own, and is yours from then on; what is there already is never overwritten.',
    )
    .argument('[dir]', 'the folder', '.')
    .option('--name <name>', 'the function’s name, instead of the one in kiln.json or of the folder')
    .option('--only <names>', 'these functions and no others, with commas between them', (text: string) => text.split(','))
    .option('--build-arg <name=value>', 'for the steps of the Dockerfile; may be repeated, and is readable in the image', addBuildArg)
    .option(...BUILD_SECRET, addBuildSecret)
    .option('-v, --verbose', 'show all that the steps of the build write')
    .option('--eject', 'write the Dockerfile into the folder instead')
    .addHelpText(
      'after',
      examples([
        ['kiln build', 'does it build? and into what?'],
        ['kiln build hello -o json | jq -r .image', 'the id of the image'],
        ['kiln build --eject', 'take over the Dockerfile'],
      ]),
    )
    .action((dir: string, options: BuildOptions) => runBuild(session, dir, options));
}

async function runBuild(session: Session, dir: string, options: BuildOptions): Promise<void> {
  const candidates = await prepare(dir, {
    name: options.name,
    only: options.only,
    buildArgs: options.buildArg,
    buildSecrets: options.buildSecret,
  });
  for (const candidate of candidates) {
    if (options.eject) await ejectOne(session, options, candidate);
    else await buildOne(session, options, candidate);
  }
}

async function ejectOne({ terminal }: Session, options: BuildOptions, candidate: PreparedFunction): Promise<void> {
  const { written, notes } = await eject(candidate);
  for (const note of notes) terminal.say(note);
  printLine(terminal, formatOf(options, terminal), { function: candidate.name, written }, () =>
    written.map((file) => `wrote ${file}`).join('\n'),
  );
}

async function buildOne(
  { terminal, config }: Session,
  options: BuildOptions,
  { name, files, replaced, buildArgs, buildSecrets }: PreparedFunction,
): Promise<void> {
  const { buildLocally } = await import('@kiln/builder/local-build');
  const started = performance.now();
  const engine = new EngineLines();
  const progress = new Progress();
  // Left in its middle, a build would leave its folder and its images behind.
  terminal.endsItself = true;
  const built = await buildLocally({
    dockerHost: config.DOCKER_HOST,
    source: packFiles(files, replaced),
    functionName: name,
    buildArgs,
    secrets: buildSecrets,
    onLine: (line) => {
      if (!engine.takes(line) || options.verbose) {
        terminal.say(`${name} +${((performance.now() - started) / 1000).toFixed(1)}s  ${line}`);
      }
      if (progress.see(name, line)) terminal.status(progress.text());
    },
    signal: terminal.interrupted,
  }).catch((error: unknown) => {
    throw terminal.interrupted.aborted ? new Interrupted() : error;
  });
  terminal.status('');
  printLine(terminal, formatOf(options, terminal), { function: name, ...built }, () => textOf(name, built));
}

function textOf(name: string, { image, kind, config }: BuiltImage): string {
  return pairs([
    ['function', name],
    ['kind', kind],
    ['image', image],
    ['config', JSON.stringify(config)],
  ]);
}
