import { defineConfig, type Plugin } from 'vite';
import { contentSecurityPolicy } from './csp.mjs';

const RELAY_URL = 'http://127.0.0.1:8787';

/** In the built page only: the development server needs what the policy forbids. */
const policyInPage: Plugin = {
  name: 'mangrove-content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    {
      tag: 'meta',
      attrs: { 'http-equiv': 'Content-Security-Policy', content: contentSecurityPolicy },
      injectTo: 'head-prepend',
    },
  ],
};

export default defineConfig({
  plugins: [policyInPage],
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  worker: { format: 'es' },
  // `npm run dev` beside `npx mangrove-relay --port 8787`: same origin, as in production.
  server: { proxy: { '/parties': { target: RELAY_URL, ws: true }, '/rooms': RELAY_URL } },
});
