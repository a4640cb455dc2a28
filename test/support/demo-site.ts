import { serve } from '../../demo/server.mjs';

/** The built demo without its embedded relay: pages are told where their relay is, which is behind a proxy. */
export interface DemoSite {
  address(room: string, relay: string): string;
  close(): Promise<void>;
}

/** `relay` of an address that has none. */
export const LOCAL_ONLY = 'none';

export async function openDemoSite(): Promise<DemoSite> {
  const { url, close } = await serve({ port: 0, relay: false });
  return {
    address: (room, relay) => `${url}/?${new URLSearchParams({ room, relay })}`,
    close,
  };
}
