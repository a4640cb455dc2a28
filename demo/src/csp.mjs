// One policy, for the header of server.mjs and for the meta tag of the built page, so that it holds on any host.
// Styles may be inline because CodeMirror writes its own; nothing that a person typed ever becomes markup or script.
const DIRECTIVES = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "connect-src 'self' ws: wss:",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "require-trusted-types-for 'script'",
  'trusted-types default mangrove',
];

export const contentSecurityPolicy = DIRECTIVES.join('; ');

/** A meta tag cannot carry this one. */
export const contentSecurityPolicyHeader = `${contentSecurityPolicy}; frame-ancestors 'none'`;
