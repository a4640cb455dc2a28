import { defaultLimits, type Limits, NO_QUOTA, type Quota } from '@mangrove/protocol';
import type { Authenticate, RelayPorts } from './ports.js';
import { type RateOptions, ratesOf } from './rates.js';

/** What an operator says of a relay's rooms, wherever it runs. */
export interface RoomsOptions {
  /** Without it everybody may read and write every room. */
  readonly authenticate?: Authenticate | undefined;
  /** `authenticate` is asked again about each open connection this often, in ms; without it once. It is told `isRecheck` then. */
  readonly recheckMs?: number | undefined;
  readonly limits?: Partial<Limits> | undefined;
  /** What is taken in a second of a connection, a replica and a room; what is left out is as in the guide. `OPTION_INVALID` for what is no rate. */
  readonly rates?: RateOptions | undefined;
  /** What each room may take up; without it as much as there is. */
  readonly quota?: Partial<Quota> | undefined;
  /** Origins whose pages may connect; without it all may. What is no browser sends none and is not held up by this. */
  readonly allowedOrigins?: readonly string[] | undefined;
  /** A fault for a developer to look at; written to the standard error output or the console without it. */
  readonly onFault?: ((error: unknown) => void) | undefined;
}

/** What rooms get of them. Throws `OPTION_INVALID`. */
export function portsOf({
  authenticate,
  recheckMs,
  limits,
  rates,
  quota,
}: RoomsOptions): Pick<RelayPorts, 'authenticate' | 'recheckMs' | 'limits' | 'rates' | 'quota'> {
  return {
    authenticate,
    recheckMs,
    limits: { ...defaultLimits, ...limits },
    rates: ratesOf(rates),
    quota: { ...NO_QUOTA, ...quota },
  };
}
