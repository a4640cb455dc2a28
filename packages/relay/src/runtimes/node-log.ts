import { pino } from 'pino';
import type { RelayLog } from '../log.js';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Nothing that logs puts these into its facts; should anybody begin to, they do not come out. */
const SECRETS = ['token', 'authorization', 'cookie', 'ticket', 'secret', 'key'];
const STANDARD_ERROR = 2;

/** One JSON object a line on the standard error output. */
export function createLog(level: LogLevel): RelayLog {
  const paths = SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths, censor: '[redacted]' },
  };
  // At once: the last words before an exit are those that are looked for.
  return pino(options, pino.destination({ fd: STANDARD_ERROR, sync: true }));
}
