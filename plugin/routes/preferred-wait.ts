/**
 * The seconds that a client is willing to wait, by the preference `wait` of its header `Prefer`; null for none. The first one
 * counts.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7240#section-4.3
 */
export function preferredWait (header: string | readonly string[] | undefined): number | null {
  if (header === undefined) return null
  // A number may be quoted. Other quoted text may hold commas, and says nothing here.
  const plain = String(header).replace(/"(\d*)"/g, '$1').replace(/"(?:[^"\\]|\\.)*"/g, '""')
  for (const preference of plain.split(',')) {
    const [name = '', value = ''] = preference.split(';', 1)[0]!.split('=', 2)
    if (name.trim().toLowerCase() !== 'wait') continue
    return /^\d+$/.test(value.trim()) ? Number(value) : null
  }
  return null
}
