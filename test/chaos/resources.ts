/** What keeps the process running now and did not before, by kind. */
export function leftOver(before: readonly string[]): string[] {
  const left = process.getActiveResourcesInfo();
  for (const kind of before) if (left.includes(kind)) left.splice(left.indexOf(kind), 1);
  return left;
}
