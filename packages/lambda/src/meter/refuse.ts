import { MangroveError } from '@mangrove/protocol';

/** What a module is refused with. The reason completes “The lambda cannot be used: …”. */
export function refuse(reason: string, cause?: unknown): MangroveError {
  return new MangroveError('LAMBDA_INVALID', { reason }, { cause });
}
