import type { BuiltImage } from '@kiln/contract/api/control-api';
import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { eject } from '../../deploy/eject.js';
import { EngineLines } from '../../deploy/engine-lines.js';
import { BUILD_ARG, BUILD_SECRET } from '../../deploy/options/build-options.js';
import { type PreparedFunction, prepare, type Selection } from '../../deploy/prepare.js';
import { Interrupted } from '../../failure.js';
import { packFiles } from '../../folder/pack.js';
import { type OutputOptions, printLine } from '../../output/print.js';
import { Progress } from '../../output/progress-bar.js';
import { pairs } from '../../output/table.js';

type BuildOptions = OutputOptions & Selection & { eject?: boolean; verbose?: boolean };

export function buildCommand(session: Session): KilnCommand {
  return dataCommand('build', session)
    .summary('build a folder on this machine, without deploying it')
    .description(
      'Builds the same image as a deployment, on the Docker engine of this machine, and prints its id. No cluster is needed.\n' +
        'With --eject it builds nothing: it writes the Dockerfile that it would use into the folder, with a .dockerignore and the files\n' +
        'of Kiln that the Dockerfile needs. They are yours to change. It never overwrites a file.',
    )
    .argument('[dir]', 'the folder', '.')
    .option('--name <name>', 'the function’s name, instead of the one in kiln.json or of the folder')
    .option('--only <names>', 'only these functions, separated by commas', (text: string) => text.split(','))
    .option(...BUILD_ARG)
    .option(...BUILD_SECRET)
    .option('-v, --verbose', 'show the whole output of the build')
    .option('--eject', 'write the Dockerfile into the folder instead of building')
    .examples(
      ['kiln build', 'does it build, and what is it?'],
      ['kiln build hello -o json | jq -r .image', 'the id of the image'],
      ['kiln build --eject', 'write the Dockerfile, to change it'],
    )
    .action(async (dir: string, options: BuildOptions) => {
      const run = options.eject ? ejectOne : buildOne;
      for (const candidate of await prepare(dir, options)) await run(session, options, candidate);
    });
}

async function ejectOne({ terminal }: Session, options: BuildOptions, candidate: PreparedFunction): Promise<void> {
  const { written, notes } = await eject(candidate);
  for (const note of notes) terminal.say(note);
  const text = () => written.map((file) => `wrote ${file}`).join('\n');
  printLine(terminal, options, { function: candidate.name, written }, text);
}

async function buildOne({ terminal, config }: Session, options: BuildOptions, candidate: PreparedFunction): Promise<void> {
  const { name, files, replaced, buildArgs, buildSecrets } = candidate;
  const [{ build }, { connectEngine }] = await Promise.all([import('@kiln/builder/build'), import('@kiln/engine/connect-engine')]);
  const started = performance.now();
  const engine = new EngineLines();
  const progress = new Progress();
  // A build that is cut off would leave its folder and its images behind.
  terminal.endsItself = true;
  const built = await build({
    docker: connectEngine(config.DOCKER_HOST),
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
  printLine(terminal, options, { function: name, ...built }, () => textOf(name, built));
}

function textOf(name: string, { image, kind, config }: BuiltImage): string {
  return pairs([
    ['function', name],
    ['kind', kind],
    ['image', image],
    ['config', JSON.stringify(config)],
  ]);
}
