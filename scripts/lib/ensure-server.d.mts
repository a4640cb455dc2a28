export function findServer(name: 'nats' | 'postgres'): string | undefined;
export function ensureServer(name: 'nats' | 'postgres'): Promise<void>;
