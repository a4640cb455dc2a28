/** A turn of the event loop: whatever was said is heard. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
