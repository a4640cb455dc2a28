import { type BuiltInResolver, MangroveError } from '@mangrove/protocol';

/** A plain descriptor: functions cannot cross into the worker. */
export type Resolver = { readonly kind: BuiltInResolver };

/** The newest write wins, a delete included. */
export const lww = (): Resolver => ({ kind: 'lww' });

/** All concurrent values are kept and shown; `value` is the newest that is not a delete. The default. */
export const siblings = (): Resolver => ({ kind: 'siblings' });

export function resolverName(resolver: Resolver | undefined): BuiltInResolver {
  const kind = resolver?.kind ?? 'siblings';
  if (kind !== 'lww' && kind !== 'siblings')
    throw new MangroveError('NOT_SUPPORTED', { feature: `The resolver ${String(kind)}` });
  return kind;
}
