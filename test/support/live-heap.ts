import type { Browser, CDPSession } from 'playwright-core';

/**
 * What the heaps of a browser's pages and workers hold when their garbage is gone, in bytes, buffers included. Unlike a peak of memory it
 * depends neither on when a collector thought fit to run nor on how busy the machine was.
 */
export async function liveHeapBytes(browser: Browser): Promise<number> {
  const session = await browser.newBrowserCDPSession();
  // The filter is newer than the types: without it workers are left out.
  const everything = { filter: [{}] };
  const { targetInfos } = await session.send('Target.getTargets', everything);
  let bytes = 0;
  for (const { type, targetId } of targetInfos) {
    if (type !== 'page' && type !== 'worker') continue;
    const { sessionId } = await session.send('Target.attachToTarget', { targetId, flatten: false });
    await ask(session, sessionId, 'HeapProfiler.collectGarbage');
    const { usedSize, backingStorageSize } = await ask(session, sessionId, 'Runtime.getHeapUsage');
    bytes += Number(usedSize) + Number(backingStorageSize);
  }
  await session.detach();
  return bytes;
}

let nextId = 1;

/** Asks one target by way of the browser, as Playwright gives no session of a worker. */
async function ask(session: CDPSession, sessionId: string, method: string): Promise<Readonly<Record<string, unknown>>> {
  const id = nextId++;
  const answer = new Promise<Readonly<Record<string, unknown>>>((resolve) => {
    const take = (event: { sessionId: string; message: string }): void => {
      const said = JSON.parse(event.message) as { id?: number; result: Readonly<Record<string, unknown>> };
      if (event.sessionId !== sessionId || said.id !== id) return;
      session.off('Target.receivedMessageFromTarget', take);
      resolve(said.result);
    };
    session.on('Target.receivedMessageFromTarget', take);
  });
  await session.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method }) });
  return await answer;
}
