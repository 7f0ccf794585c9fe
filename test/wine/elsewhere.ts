export const elsewhere = (_name: string): string | undefined => undefined;
