export function rendererOf(page: {
  evaluate(run: (argument: number) => void, argument: number): Promise<unknown>;
}): Promise<number>;
