import { type Lambda, type LambdaSpec, type LoadEngine, prepareLambda } from '../lambda.js';
import { LambdaError } from '../lambda-error.js';
import type { FromWorker, ToWorker } from './messages.js';

/** The worker's side: one lambda for its life, runs in the order in which they are asked for. Returns what takes messages. */
export function serveLambda(post: (message: FromWorker) => void, loadEngine: LoadEngine): (message: ToWorker) => void {
  let lambda: Lambda | undefined;

  async function prepare(spec: LambdaSpec): Promise<void> {
    try {
      if (spec.kind === 'wasm') post({ type: 'loaded' });
      lambda = await prepareLambda(spec, async (kind) => {
        const engine = await loadEngine(kind);
        post({ type: 'loaded' });
        return engine;
      });
      post({ type: 'prepared', id: lambda.id });
    } catch (error) {
      const { code, reason } =
        error instanceof LambdaError ? error : new LambdaError('LAMBDA_UNAVAILABLE', String(error));
      post({ type: 'refused', code, reason });
    }
  }

  return (message) => {
    if (message.type === 'prepare') void prepare(message.spec);
    else if (lambda !== undefined) post({ type: 'ran', outcome: lambda.run(message.input) });
  };
}
