import { rendererOf } from '../../scripts/lib/renderers.mjs';

/** Ways in which a tab ends. `prepare` resolves to what ends it, and that resolves when it is over. */
export const ENDS = {
  close: { prepare: async (page) => () => page.close() },
  crash: {
    prepare: async (page) => {
      const session = await page.context().newCDPSession(page);
      return async () => {
        const crashed = new Promise((resolve) => page.once('crash', resolve));
        session.send('Page.crash').catch(() => {});
        await crashed;
      };
    },
  },
  kill: {
    prepare: async (page) => {
      const pid = await rendererOf(page);
      return async () => {
        const crashed = new Promise((resolve) => page.once('crash', resolve));
        process.kill(pid, 'SIGKILL');
        await crashed;
      };
    },
  },
};
