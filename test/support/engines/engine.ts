/** What the browser suite asks of a browser, and nothing that only one of them can do: that is asked where it is needed. */

export type EngineName = 'chromium' | 'firefox' | 'webkit';

export interface Engine {
  readonly name: EngineName;
  /** What its console says of connections that do not come about, whoever handles that. */
  readonly networkTrouble: RegExp;
  /**
   * A browser that shares nothing with any other that is open: no storage, no workers, no locks. With a folder it finds there what
   * the browser before it left; without one it forgets everything.
   */
  open(folder?: string): Promise<Session>;
  close(): Promise<void>;
}

/** A browser on one profile, from its start to its end. */
export interface Session {
  /** Told of every error that a page or a worker reports or does not catch; set before the first tab is opened. */
  onTrouble: (words: string) => void;
  openTab(): Promise<Tab>;
  /** As a person ends it. It is over when this resolves. */
  close(): Promise<void>;
  /** All of its processes at once, without a warning. Only where it has a folder: nothing else could be looked at afterwards. */
  kill(): Promise<void>;
}

export interface Tab {
  /** Resolves when the page is loaded. */
  goto(address: string): Promise<void>;
  reload(): Promise<void>;
  close(): Promise<void>;
  /**
   * Runs a function in the page, and resolves to what it or its promise gives. It is sent as text, so it sees its argument and the
   * page's globals only. Both ways go values of JSON and `undefined`. Any number may be under way in one tab.
   */
  evaluate<Result>(run: () => Result | Promise<Result>): Promise<Result>;
  evaluate<Result, Argument>(
    run: (argument: Argument) => Result | Promise<Result>,
    argument: Argument,
  ): Promise<Result>;
  /** By mouse, in the middle of the element. */
  click(selector: string): Promise<void>;
  /** In place of what the field has. */
  fill(selector: string, text: string): Promise<void>;
  /** Key by key, where the focus is. */
  type(text: string, delayMs?: number): Promise<void>;
  /** Keys pressed together, as in `Control+End`. */
  press(keys: string): Promise<void>;
}
