/// <reference lib="webworker" />
// What a worker is started with. WebKit evaluates that module once more for whatever chunk imports it, so it has nothing that another one
// could ask for: a bundler would put what is shared with later chunks into it, and there would be a second engine beside the first.

const early: MessageEvent[] = [];
const keep = (event: MessageEvent): void => void early.push(event);
addEventListener('message', keep);

import('./main.js').then(({ begin }) => {
  removeEventListener('message', keep);
  begin();
  for (const { data, ports } of early) dispatchEvent(new MessageEvent('message', { data, ports: [...ports] }));
  // As an error of the worker its page hears of it, as of a script that is not there.
}, reportError);

export {};
