import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import type { ImageKind } from '@kiln/contract/kinds';
import type { Prepared } from '../engine/prepared-image.js';
import type { SourceFolder } from '../source/source-folder.js';

/** How a folder becomes an image. */
export interface BuildPlan {
  kind: ImageKind;
  /** Images that the Dockerfile starts from, needed before the build; those of a folder's own are read from it with the build's arguments. */
  baseImages: string[];
  /** Written beside the sources, never among them; absent where the folder brings its own. */
  dockerfile?: { content(given: Given): string; sourcesUnder: string };
  /** An image of ours that it starts from, made on the first of `baseImages`; a plan of kind `runner` has the runner's. */
  prepared?: Prepared;
  /** Files of ours that go with them, by path in the context. */
  files?: ReadonlyMap<string, Buffer>;
  /** The module, for functions that a runner of ours serves (a site has none); and what in it is the function, where the folder tells. */
  entry?: string;
  handler?: string;
  /** The source that `entry` is made of, where a runner for Node serves it. */
  module?: string;
  /** The evidence is of a kind that the root of a repository of several functions has as well. */
  doubtful?: boolean;
  /** What suits this kind of folder; kiln.json wins. */
  config?: FunctionConfigInput;
  /** What a user should know of the way chosen: the evidence first. */
  notes: string[];
}

/** What is known only when the image is made. */
export interface Given {
  /** For kind `runner` Node and the runner, else the plan's own. */
  preparedImage: string;
  functionName: string;
}

export interface Detector {
  /** In the answer to a folder that nobody recognised. */
  looksFor(config: FunctionConfigInput, folder: SourceFolder): string | Promise<string>;
  detect(folder: SourceFolder, config: FunctionConfigInput): Promise<BuildPlan | undefined>;
}
