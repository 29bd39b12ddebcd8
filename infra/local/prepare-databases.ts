export async function prepareDatabases(_c: unknown): Promise<void> {}
