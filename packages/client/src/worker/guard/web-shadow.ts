import { SHADOW_NAME, type ShadowAnswer } from '../../documents/shadow.js';
import type { ShadowEvents, ShadowPort } from './shadow-host.js';

/** The name that a content security policy with `trusted-types` has to allow. */
const POLICY = 'mangrove';

interface ScriptPolicy {
  createScriptURL(url: string): string;
}

interface TrustedTypes {
  createPolicy(name: string, rules: ScriptPolicy): ScriptPolicy;
}

/** A bundler may have made a classic script of the worker, and not every platform lets a worker ask which it is. */
const TYPES = ['module', 'classic'] as const;
let policy: ScriptPolicy | undefined;
/** The first of them that was not refused. */
let first = 0;

/** A worker of this worker's own script. Undefined where there is none to have: not every platform lets a worker start another. */
export function startWebShadow({ answered, broken }: ShadowEvents): ShadowPort | undefined {
  if (typeof document !== 'undefined' || typeof Worker === 'undefined') return undefined;
  let worker: Worker;
  let hasBegun = false;
  const start = (type: number): void => {
    worker = new Worker(scriptUrl(), { type: TYPES[type] as WorkerType, name: SHADOW_NAME });
    worker.addEventListener('message', ({ data }: MessageEvent<ShadowAnswer>) => {
      hasBegun = true;
      answered(data);
    });
    worker.addEventListener('error', (event) => {
      // It is told of here.
      event.preventDefault();
      if (hasBegun || type === TYPES.length - 1) return broken();
      worker.terminate();
      first = Math.max(first, type + 1);
      start(type + 1);
    });
  };
  try {
    start(first);
  } catch {
    return undefined;
  }
  return { post: (order) => worker.postMessage(order), end: () => worker.terminate() };
}

/** Of this very worker. Throws where the page's policy allows none of that name. */
function scriptUrl(): string {
  const { href } = globalThis.location;
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  policy ??= trustedTypes?.createPolicy(POLICY, { createScriptURL: (url) => (url === href ? url : '') });
  return policy?.createScriptURL(href) ?? href;
}
