import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import type { ImageKind } from '@kiln/contract/kinds';
import type { Prepared } from '../engine/prepared-image.js';
import type { SourceFolder } from '../source/source-folder.js';

/** How a folder becomes an image. */
export interface BuildPlan {
  kind: ImageKind;
  /** Base images of the Dockerfile. Those of a folder's own Dockerfile are read from it, with the build arguments. */
  baseImages: string[];
  /** Its lines, with the sources at `SOURCES` in the context; absent where the folder brings its own. */
  dockerfile?: (given: Given) => readonly string[];
  /** An image of Kiln's own, made on the first of `baseImages`; a plan of kind `runner` has the runner's image. */
  prepared?: Prepared;
  /** Kiln's own files beside the sources, by path in the context. */
  files?: ReadonlyMap<string, Buffer>;
  /** The module that a runner of Kiln's own serves (a site has none), and the function in it, where the folder names it. */
  entry?: string;
  handler?: string;
  /** The source file of `entry`, where the runner for Node serves it. */
  module?: string;
  /** The root of a repository of several functions may look the same. */
  doubtful?: boolean;
  /** Defaults for this kind of folder; kiln.json wins. */
  config?: FunctionConfigInput;
  /** Lines for the user: first what was found, then what follows from it. */
  notes: string[];
}

/** What is decided only when the image is made. */
export interface Given {
  /** The runner's image for kind `runner`, else the plan's own. */
  preparedImage: string;
  functionName: string;
}

/** The text of the plan's Dockerfile; undefined where the folder brings its own. */
export function dockerfileText({ dockerfile }: BuildPlan, given: Given): string | undefined {
  return dockerfile && `${dockerfile(given).join('\n')}\n`;
}

export interface Detector {
  /** Part of the error for a folder that no detector recognises. */
  looksFor(config: FunctionConfigInput, folder: SourceFolder): string | Promise<string>;
  detect(folder: SourceFolder, config: FunctionConfigInput): Promise<BuildPlan | undefined>;
}
