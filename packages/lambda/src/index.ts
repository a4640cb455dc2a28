export {
  type Conflict,
  bytesToMerged,
  conflictOfEntry,
  conflictToBytes,
  type Merged,
  type ReadEntry,
} from './conflict.js';
export { type Decision, decide } from './decision.js';
export { fetchEngine } from './engines/fetch-engine.js';
export { FAILURE_CODES, type Failure, type FailureCode, isDeterministic, type Outcome } from './failure.js';
export { type EngineKind, type Lambda, type LambdaSpec, type LoadEngine, prepareLambda } from './lambda.js';
export { LambdaError, type LambdaErrorCode } from './lambda-error.js';
export type { LambdaId, LambdaKind } from './lambda-id.js';
export { defaultLambdaLimits, type LambdaLimits } from './limits.js';
export { openSandbox, type Sandbox, type SandboxOptions } from './sandbox.js';
export { type SandboxWorker, type StartWorker, startWebWorker, type WorkerEvents } from './worker/sandbox-worker.js';
