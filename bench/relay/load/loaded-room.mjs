/** The clients of one room, which keep a number of deltas under way: said by one and not heard by all of the others yet. */
export class LoadedRoom {
  name;
  /** Deltas that were heard by who did not write them. */
  deliveries = 0;
  /** Resolves when nobody has anything left to say. */
  spent;
  #Client;
  #clients = [];
  #writers = [];
  #said = 0;
  #heard = 0;
  #perMessage = 1;
  #window = 0;
  #turn = 0;
  #isFilling = false;
  #isSpent = () => {};
  #onSettled;
  /** Of a paced load: when each delta was said and by whom, and for each client up to which of them it has heard. */
  #times;
  #latencies = [];
  #heardBy = [];

  constructor(Client, name) {
    this.#Client = Client;
    this.name = name;
  }

  add(client) {
    const index = this.#clients.push(client) - 1;
    client.onDeltas = (count) => this.#hear(index, count);
  }

  async prepare(deltas, perMessage) {
    this.#perMessage = perMessage;
    for (const client of this.#clients) await client.prepare(deltas, perMessage);
  }

  begin(window, { writers = this.#clients.length } = {}) {
    this.#writers = this.#clients.slice(0, writers);
    this.spent = new Promise((resolve) => (this.#isSpent = resolve));
    this.#window = window * writers * this.#perMessage;
    this.#fill();
  }

  end() {
    this.#window = 0;
  }

  settled() {
    if (this.#underWay <= 0) return undefined;
    return new Promise((resolve) => (this.#onSettled = resolve));
  }

  time() {
    this.#times = [];
    this.#heardBy = this.#clients.map(() => 0);
  }

  sayOne() {
    const by = this.#turn++ % this.#clients.length;
    this.#times.push({ atMs: performance.now(), by });
    this.#clients[by].sendNext();
  }

  latencies() {
    return this.#latencies;
  }

  /** What each delta is heard as often as. */
  get #ears() {
    return this.#clients.length - (this.#Client.echoes ? 0 : 1);
  }

  get #underWay() {
    return this.#said - this.#heard / this.#ears;
  }

  #hear(index, count) {
    if (this.#times !== undefined) return this.#note(index, count);
    this.#heard += count;
    this.deliveries = (this.#heard / this.#ears) * (this.#clients.length - 1);
    if (this.#window === 0 && this.#underWay <= 0) this.#onSettled?.();
    if (this.#isFilling || this.#underWay >= this.#window) return;
    this.#isFilling = true;
    setImmediate(() => {
      this.#isFilling = false;
      this.#fill();
    });
  }

  /** A server passes on in one order for all, so that the next one a client hears is the next one that was said. */
  #note(index, count) {
    const nowMs = performance.now();
    for (let left = count; left > 0; left--) {
      while (!this.#Client.echoes && this.#times[this.#heardBy[index]]?.by === index) this.#heardBy[index]++;
      const said = this.#times[this.#heardBy[index]++];
      if (said !== undefined && said.by !== index) this.#latencies.push(nowMs - said.atMs);
    }
  }

  #fill() {
    let silent = 0;
    while (this.#underWay + this.#perMessage <= this.#window) {
      const writer = this.#writers[this.#turn++ % this.#writers.length];
      if (writer.sendNext()) {
        this.#said += this.#perMessage;
        silent = 0;
      } else if (++silent === this.#writers.length) return this.#isSpent();
    }
  }
}
