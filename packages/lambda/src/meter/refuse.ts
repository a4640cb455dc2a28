import { LambdaError } from '../lambda-error.js';

/** What a module is refused with. The reason completes “The lambda cannot be used: …”. */
export function refuse(reason: string): LambdaError {
  return new LambdaError('LAMBDA_INVALID', reason);
}
