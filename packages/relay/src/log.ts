/** What happened, for an operator. `facts` has ids, codes and numbers, and never a token, a body or a query of a URL. */
export interface RelayLog {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

const nothing = (): void => {};

/** A relay that is embedded says nothing by itself. */
export const SILENT: RelayLog = { debug: nothing, info: nothing, warn: nothing, error: nothing };
