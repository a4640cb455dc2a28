import { deflateSync } from 'fflate';

/** Bodies are compressed inside of a transaction, where the browser's own CompressionStream, which is asynchronous, cannot be awaited. */
export const deflate = (bytes: Uint8Array): Uint8Array => deflateSync(bytes);
