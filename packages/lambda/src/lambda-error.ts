/** Why there is no lambda to run. Neither code goes over the wire, so both are this package's own. */
export type LambdaErrorCode = 'LAMBDA_INVALID' | 'LAMBDA_UNAVAILABLE';

const TEXTS: Record<LambdaErrorCode, { message: string; remedy: string; retryable: boolean }> = {
  /** Every replica refuses it. */
  LAMBDA_INVALID: {
    message: 'The lambda cannot be used',
    remedy: 'Correct it, and try it with `mangrove-lambda check` before it ships.',
    retryable: false,
  },
  /** It cannot run here and now; elsewhere it may. */
  LAMBDA_UNAVAILABLE: {
    message: 'The lambda cannot run here',
    remedy: 'The siblings stay. Serve the files of the engine, and allow WebAssembly in the policy of the page.',
    retryable: true,
  },
};

/** Compare `code`, not the class, as with a `MangroveError`. */
export class LambdaError extends Error {
  readonly remedy: string;
  readonly retryable: boolean;

  constructor(
    readonly code: LambdaErrorCode,
    readonly reason: string,
    options?: { cause?: unknown },
  ) {
    const { message, remedy, retryable } = TEXTS[code];
    super(`${message}: ${reason}.`, options);
    this.name = 'LambdaError';
    this.remedy = remedy;
    this.retryable = retryable;
  }
}
