/** Values as every view writes them: the JSON form of documents, the same in tables, `-o json`, export and explain. */

export { documentFromJson as fromJson, documentToJson as toJson } from '@quorate/client/pure'

/** One value, in its JSON form already, in one cell of a table: a text bare, all else as JSON. */
export function valueText(json: unknown): string {
  if (json === undefined) return ''
  return typeof json === 'string' ? json : JSON.stringify(json)
}
