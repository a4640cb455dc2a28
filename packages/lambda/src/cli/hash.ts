import { readEngine } from '../engines/read-engine.js';
import { prepareLambda } from '../lambda.js';
import type { LambdaCommand } from './options.js';

/** The id; only of a lambda that loads. */
export async function hash({ spec }: LambdaCommand): Promise<string> {
  return (await prepareLambda(spec, readEngine)).id;
}
