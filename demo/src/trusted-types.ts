// The page's policy forbids turning strings into markup or script. What is left is starting workers, which browsers
// count as script: only our own files may be started.
interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): unknown;
}

const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };

trustedTypes?.createPolicy('default', {
  createScriptURL(url) {
    if (new URL(url, location.href).origin !== location.origin)
      throw new TypeError(`Not a script of this page: ${url}`);
    return url;
  },
});
