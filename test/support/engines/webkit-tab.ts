import type { Tab } from './engine.js';
import type { WebDriver } from './web-driver.js';
import { evaluateInPage } from './web-driver-evaluate.js';

/** The protocol's names of keys, and of elements. */
const KEYS: Readonly<Record<string, string>> = {
  Backspace: '\uE003',
  Control: '\uE009',
  End: '\uE010',
  Enter: '\uE007',
  '\n': '\uE007',
};
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

export class WebKitTab implements Tab {
  readonly #driver: WebDriver;
  readonly #here: <Result>(run: () => Promise<Result>) => Promise<Result>;

  /** `here` does something while the driver is about this tab. */
  constructor(driver: WebDriver, here: <Result>(run: () => Promise<Result>) => Promise<Result>) {
    this.#driver = driver;
    this.#here = here;
  }

  async goto(address: string): Promise<void> {
    await this.#here(() => this.#driver.post('/url', { url: address }));
  }

  async reload(): Promise<void> {
    await this.#here(() => this.#driver.post('/refresh'));
  }

  async close(): Promise<void> {
    await this.#here(() => this.#driver.delete('/window'));
  }

  async evaluate<Result, Argument>(
    run: (argument: Argument) => Result | Promise<Result>,
    argument?: Argument,
  ): Promise<Result> {
    const result = await evaluateInPage(
      (kind, script, args) => this.#here(() => this.#driver.post(`/execute/${kind}`, { script, args })),
      run,
      argument,
    );
    return result as Result;
  }

  async click(selector: string): Promise<void> {
    await this.#withElement(selector, (element) => this.#driver.post(`${element}/click`));
  }

  async fill(selector: string, text: string): Promise<void> {
    // By hand: the protocol's own clearing leaves the field in between, as nobody would.
    await this.click(selector);
    await this.press('Control+a');
    await this.press('Backspace');
    if (text !== '') await this.type(text);
  }

  async type(text: string, delayMs = 0): Promise<void> {
    const keys = [...text];
    if (delayMs === 0) return await this.#strike(keys.map((key) => [key]));
    for (const key of keys) {
      await this.#strike([[key]]);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }

  async press(keys: string): Promise<void> {
    await this.#strike([keys.split('+')]);
  }

  /** One chord after the other. */
  async #strike(chords: readonly (readonly string[])[]): Promise<void> {
    const actions = chords.flatMap((chord) => {
      const values = chord.map((key) => KEYS[key] ?? key);
      return [
        ...values.map((value) => ({ type: 'keyDown', value })),
        ...values.toReversed().map((value) => ({ type: 'keyUp', value })),
      ];
    });
    await this.#here(() => this.#driver.post('/actions', { actions: [{ type: 'key', id: 'keyboard', actions }] }));
  }

  async #withElement(selector: string, run: (element: string) => Promise<unknown>): Promise<void> {
    await this.#here(async () => {
      const found = await this.#driver.post('/element', { using: 'css selector', value: selector });
      await run(`/element/${(found as Record<string, string>)[ELEMENT]}`);
    });
  }
}
