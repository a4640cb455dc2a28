export function renderMethod({ settings: s, documents = [], records = [] }) {
  const about = (contestants) =>
    contestants.map(({ name, about, durability }) => `- **${name}**: ${about}. On disk: ${durability}.`).join('\n');
  return [
    '## Method',
    [
      'Each contestant has a fresh profile on disk in each round, and a browser process of its own. Pages are isolated, so that their clocks tick in 5 µs. Mangrove is what `npm pack` makes; all are bundled by',
      'Vite, each as a chunk of its own. Cells are medians over the rounds of what each round measured. Chromium’s own default is relaxed durability: the transaction has completed, and a power cut can',
      'take the last seconds. Strict waits for the disk. Nothing here has a network; what a relay costs is in the end-to-end bench.',
    ].join('\n'),
    [
      `- **All edits made**: the trace as fast as it goes, each edit a change of its own, 200 to a task, everything kept each 2,000; then ${s.restMs} ms of rest, in which whoever compacts does.`,
      '- **Keys and values**: all of IndexedDB read back and counted as data. **Files**: what the browser keeps in its IndexedDB folder after it was closed; logs that LevelDB has not compacted are in it.',
      `- **Opening**: ${s.coldOpens} cold and ${s.warmOpens} warm a round, the middle of each. The operating system’s file cache is warm in both.`,
      '- **Memory**: `performance.measureUserAgentSpecificMemory()` of page and workers after the warm opens. It leaves out the memory of WebAssembly, which is where automerge-repo and Loro have most of theirs.',
      `- **Typing**: ${s.typed} characters, one every ${s.typedEveryMs} ms, in the document as it was opened; the cursor jumps once in twenty keys. Timed until the edit returns, and until the promises that follow it have run. **CPU**: thread time of all tasks of the page, ${s.tailMs} ms after the last key included, over the keys; timers of the bench are in it for all alike.`,
      `- **On disk**: ${s.typedToDisk} more characters, each waited for: Mangrove by \`reached('disk')\`, floors and Loro by the completed transaction, y-indexeddb by the transaction that the edit began, automerge-repo by the next one it begins by itself.`,
      `- **Burst**: ${s.burst.toLocaleString('en')} edits in one task, ${s.bursts} times a round.`,
      `- **Records**: one after the other, each on disk before the next, for ${s.oneByOneSecondsMax} s at most; all at once by a call each; all at once by one call where there is one. Read in a browser that was just started: all of them, code and opening included, then each by its id in another order, then all again.`,
      '- **Checks**, outside what is measured: after filling, each opening, and all typing and a restart the text is, by its hash, what a plain string becomes by the same edits; every record is read back as it was put. A contestant that fails one has no figures.',
    ].join('\n'),
    ...(documents.length === 0 ? [] : [about(documents)]),
    ...(records.length === 0 ? [] : [about(records)]),
  ];
}
