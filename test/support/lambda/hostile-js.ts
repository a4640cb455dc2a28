/**
 * Bodies of a function that a lambda in JavaScript calls: to hang, to exhaust, to get out, or to see something that is not the same twice. Each
 * has an outcome and a fuel, the same in every engine; `pinned.ts` has them.
 */
export const HOSTILE_JS: Record<string, string> = {
  'loops for ever': 'for (;;);',
  'loops for ever and catches': 'for (;;) { try { for (;;); } catch {} }',
  'calls itself': '(function f() { return f() + 1; })()',
  'calls itself and goes on': '(function f() { try { f(); } finally { f(); } })()',
  'matches a catastrophic pattern': 'return /^(a+)+$/.test("a".repeat(40) + "!")',
  'matches a pattern that repeats itself': 'return /(?:x?){100000}y/.test("x".repeat(100000))',
  'squares a bigint': 'let x = 3n; for (;;) x *= x;',
  'prints a large bigint': 'return String(3n ** 200000n).length',
  'blows up a text by replacing': 'let s = "a"; for (;;) s = s.replaceAll("a", "aa");',
  'doubles a text': 'let s = "x"; for (;;) s += s;',
  'pads a text': 'return "x".padEnd(2 ** 30)',
  'joins a sparse array': 'return Array(2 ** 32 - 1).join("x")',
  'reverses what is long': 'return Array.prototype.reverse.call({ length: 2 ** 53 - 1 })',
  'sorts a typed array': 'return new Float64Array(100000).map((_, i) => -i).sort()[0]',
  'sorts a typed array with a function': 'new Uint8Array(1000).sort(() => { for (;;); });',
  'fills a typed array': 'const a = new Uint8Array(4000000); for (;;) a.fill(1);',
  'sorts without an order':
    'let i = 0; return Array.from({ length: 1000 }, (_, i) => i).sort(() => (i = (i + 7) % 3) - 1).join("").length',
  'has itself as a prototype': 'const p = new Proxy({}, { getPrototypeOf: () => p }); return p instanceof Array;',
  'nests proxies': 'let p = {}; for (let i = 0; i < 5000; i += 1) p = new Proxy(p, {}); return p.x;',
  'parses deep JSON': 'return JSON.parse("[".repeat(100000))',
  'writes deep JSON': 'let a = []; for (let i = 0; i < 5000; i += 1) a = [a]; return a;',
  'parses deep source': 'return eval("(".repeat(100000))',
  'makes a function that loops': 'return new Function("for (;;);")()',
  'has an endless generator': 'return [...(function* () { for (;;) yield 1; })()]',
  'has an endless iterator':
    'const [...a] = { [Symbol.iterator]: () => ({ next: () => ({ value: 1, done: false }) }) };',
  'has an endless getter': 'return ({ get x() { return this.x; } }).x',
  'hangs while it is written': 'return { toJSON() { for (;;); } }',
  allocates: 'const a = []; for (;;) a.push(new Uint8Array(100000));',
  'allocates and catches':
    'const a = []; for (;;) { try { for (;;) a.push("x".repeat(100000) + a.length); } catch {} }',
  'asks for a huge buffer': 'return new ArrayBuffer(2 ** 40)',
  'makes a huge array': 'return Array.from({ length: 2 ** 31 })',
  'joins huge arrays': 'const a = []; a.length = 2 ** 32 - 1; return [].concat(a, a);',
  'spoils the prototypes':
    'Object.prototype.toJSON = () => 1; Array.prototype.map = null; JSON.stringify = null; return {};',
  'counts its calls': 'globalThis.calls = (globalThis.calls ?? 0) + 1; return globalThis.calls;',
  'looks for what is not the same twice':
    'return ["Date", "performance", "WeakRef", "FinalizationRegistry", "Atomics", "SharedArrayBuffer", "Promise", "setTimeout", "queueMicrotask", "fetch", "process", "require", "crypto", "navigator"].map((name) => typeof globalThis[name]).concat(typeof Math.random)',
  'looks at the bits of NaN':
    'const f = new Float64Array([0 / 0, -(0 / 0), Math.sqrt(-1), 0 * Infinity, Math.acos(2)]); const g = new Float32Array([NaN, -NaN]); return [...new Uint8Array(f.buffer), ...new Uint8Array(g.buffer)]',
  'asks for a locale':
    'return ["ä".localeCompare("z"), (1234.5).toLocaleString(), "I".toLocaleLowerCase("tr"), "\\u1E9B\\u0323".normalize("NFKC")]',
  'reads a stack': 'try { null.x; } catch (error) { return error.stack; }',
  'imports a module': 'import("x"); return 1;',
  'returns a function': 'return () => 1',
  'returns half a character': 'return "\\ud800"',
  'returns an unknown tag': 'return { $date: "soon" }',
  'returns what holds itself': 'const a = []; a.push(a); return a;',
  'returns too much': 'return "x".repeat(300000)',
};

/** The lambda misbehaves for the record `hostile` alone, so that what comes after it can be looked at. */
export const hostileJs = (body: string): string =>
  `function hostile() { ${body} }\nfunction merge({ id, siblings }) { return id === 'hostile' ? hostile() : siblings.length; }`;
