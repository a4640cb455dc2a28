import { errorFromFacts, errorToFacts } from '@mangrove/protocol';
import type { EngineApi, RoomListener } from '../../../packages/client/src/worker/engine-api.js';
import { turn } from './turn.js';

/** Calls as they cross between a page and its worker: copied, in order, each in a turn of its own; errors as facts. */
export function crossing(engine: EngineApi): EngineApi {
  const call = async (method: keyof EngineApi, args: unknown[]): Promise<unknown> => {
    const copies = method === 'openRoom' ? [structuredClone(args[0]), crossingBack(args[1] as RoomListener)] : args;
    const sent = method === 'openRoom' ? copies : structuredClone(args);
    await turn();
    const outcome = await (engine[method] as (...args: unknown[]) => Promise<unknown>)(...sent).then(
      (value) => ({ value: structuredClone(value) }),
      (error: unknown) => ({ error: structuredClone(errorToFacts(error)) }),
    );
    await turn();
    if ('error' in outcome) throw errorFromFacts(outcome.error);
    return outcome.value;
  };
  return new Proxy(engine, {
    get:
      (_, method) =>
      (...args: unknown[]) =>
        call(method as keyof EngineApi, args),
  });
}

function crossingBack(listener: RoomListener): RoomListener {
  return new Proxy(listener, {
    get:
      (target, method: keyof RoomListener) =>
      async (...args: unknown[]) => {
        const copies = structuredClone(args);
        await turn();
        return (target[method] as (...args: unknown[]) => unknown)(...copies);
      },
  });
}
